// A thousand processes and two thousand channels: how long an update takes in the page. Measured and kept, not judged: the machine may be
// busy with something else.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, go, mock, open, test } from './node'

const here = fileURLToPath(new URL('.', import.meta.url))
const SECONDS = 6

test('a large network stays fluid', async ({ page, run }) => {
  test.setTimeout(240_000)
  test.skip(mock && !process.env.PROCESSES, 'the mock is small; PROCESSES=1000 makes it large')
  const results = join(here, '../test-results')
  mkdirSync(results, { recursive: true })
  const file = join(results, 'large.yaml')
  writeFileSync(file, execFileSync(process.execPath, [join(here, 'large.mjs')]))
  const node = await run(file)
  await open(page, node)
  const told: Record<string, unknown> = {}
  for (const way of ['', 'network', 'network, all of it', 'processes', 'channels']) {
    await go(page, way.split(',')[0])
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
    if (way === 'network') await expect(page.locator('svg a.process').nth(500)).toBeAttached({ timeout: 60_000 })
    if (way.endsWith('all of it')) await page.getByRole('button', { name: 'Fit' }).click()
    await page.waitForTimeout(1500)
    told[way || 'overview'] = await page.evaluate(async seconds => {
      performance.clearMeasures()
      // The longest a frame was late: script, style, layout and paint together.
      const frames: number[] = []
      let last = performance.now()
      let on = true
      const frame = (now: number) => {
        frames.push(now - last)
        last = now
        if (on) requestAnimationFrame(frame)
      }
      requestAnimationFrame(frame)
      await new Promise(done => setTimeout(done, seconds * 1000))
      on = false
      const sorted = (all: number[]) => all.sort((a, b) => a - b)
      const at = (all: number[], part: number) => Math.round((all[Math.floor((all.length - 1) * part)] ?? 0) * 10) / 10
      const script = sorted(performance.getEntriesByName('towpath:update').map(it => it.duration))
      const gaps = sorted(frames)
      return {
        updates: script.length,
        update_ms: { p50: at(script, 0.5), p95: at(script, 0.95), most: at(script, 1) },
        frame_ms: { p50: at(gaps, 0.5), p95: at(gaps, 0.95), most: at(gaps, 1) },
        elements: document.querySelectorAll('*').length,
      }
    }, SECONDS)
  }
  const state = await node.ask('state')
  const summary = { processes: state.processes.length, channels: state.channels.length, ...told }
  writeFileSync(join(results, 'large.json'), JSON.stringify(summary, null, 2))
  console.log(JSON.stringify(summary))
  for (const it of Object.values(told) as { updates: number }[]) expect(it.updates).toBeGreaterThan(5)
})
