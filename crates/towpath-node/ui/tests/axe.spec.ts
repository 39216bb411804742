// Every page, in light and dark, has nothing that axe finds.
import AxeBuilder from '@axe-core/playwright'
import { expect, go, mock, open, ours, test } from './node'

for (const look of ['light', 'dark'] as const) {
  for (const file of mock ? ['patterns'] : ['patterns', 'stuck']) {
    test(`axe finds nothing: ${file}, ${look}`, async ({ page, run }) => {
      test.setTimeout(180_000)
      await page.emulateMedia({ colorScheme: look, reducedMotion: 'reduce' })
      const node = await run(ours(file))
      await open(page, node)
      // Something on every page.
      if (file === 'patterns' && !mock) await node.ask('channels/refused/inject', { error: 'no such city', message: { id: 1 } })
      if (file === 'stuck') await expect(page.getByRole('region', { name: /stuck: start here/ })).toBeVisible({ timeout: 30_000 })
      const { processes, channels } = await node.ask('state')
      const ways = ['', 'network', 'processes', 'channels', `process/${encodeURIComponent(processes[1].name)}`, `channel/${encodeURIComponent(channels[0].name)}`, 'traces', 'sagas', 'dead-letters', 'machines', 'errors', 'config', 'process/nobody']
      const facets = await node.ask('facets')
      ways.push(...facets.map((it: any) => `process/${encodeURIComponent(it.process)}`))
      for (const way of ways) {
        await go(page, way)
        await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
        // What is asked for has come, or it is not there.
        await page.waitForTimeout(600)
        const found = (await new AxeBuilder({ page }).analyze()).violations
        expect(found.map(it => `${way}: ${it.id}: ${it.nodes.map(node => node.html.slice(0, 160) + ' ' + node.failureSummary).join('\n')}`)).toEqual([])
      }
      await go(page, 'network')
      await page.getByLabel('Show as').selectOption('table')
      const found = (await new AxeBuilder({ page }).analyze()).violations
      expect(found.map(it => it.id)).toEqual([])
    })
  }
}

test('the skip link leads to the page', async ({ page, run }) => {
  const node = await run(ours('flow'))
  await open(page, node)
  await page.keyboard.press('Tab')
  await expect(page.getByRole('link', { name: 'Skip to the page' })).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page.getByRole('main')).toBeFocused()
  expect(await page.evaluate(() => location.hash)).not.toContain('main')
})

test('colours follow the system until somebody chooses', async ({ page, run }) => {
  const node = await run(ours('flow'))
  await page.emulateMedia({ colorScheme: 'dark' })
  await open(page, node)
  const look = page.locator('html')
  await expect(look).toHaveAttribute('data-look', 'dark')
  await page.emulateMedia({ colorScheme: 'light' })
  await expect(look).toHaveAttribute('data-look', 'light')
  await page.getByLabel('Colours').selectOption('dark')
  await expect(look).toHaveAttribute('data-look', 'dark')
  await page.reload()
  await expect(look).toHaveAttribute('data-look', 'dark')
})
