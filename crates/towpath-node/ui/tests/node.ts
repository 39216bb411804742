// Starts the program for a test, and asks it what the page should show.
//
// `TOWPATH_BIN` is the program; without it that of a debug build. `TOWPATH_MOCK=1` takes `mock.mjs` in its place, for work on the pages: tests
// that need a real network are left out then.
import { test as base, expect, type Page } from '@playwright/test'
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = join(here, '../../../..')
export const mock = !!process.env.TOWPATH_MOCK
const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target')
const program = process.env.TOWPATH_BIN ?? join(target, 'debug/towpath')

export type Running = {
  /** With the token behind `#`. */
  url: string
  ask: (path: string, body?: unknown) => Promise<any>
  /** Ends it at once, as a crash would. */
  kill: () => Promise<void>
}

/** A network of the tests. */
export const ours = (name: string) => join(here, 'networks', name + '.yaml')

/** How a node is started, where a test cares. */
export type How = { args?: string[]; port?: number; token?: string }

async function start(file: string, data: string, { args = [], port = 0, token: chosen }: How): Promise<Running & { end: () => Promise<void> }> {
  const all = ['run', file, '--data', data, '--listen', `127.0.0.1:${port}`, ...args]
  if (chosen) {
    writeFileSync(join(data, 'token'), chosen)
    all.push('--token-file', join(data, 'token'))
  }
  const child: ChildProcess = mock
    ? spawn(process.execPath, [join(here, 'mock.mjs')], { env: { ...process.env, PORT: '0' } })
    : spawn(program, all, { cwd: root })
  let said = ''
  const plain = await new Promise<string>((found, lost) => {
    const look = (more: Buffer) => {
      // What a network logs comes here too, for as long as it runs.
      if (said.length < 100_000) said += more
      const url = /(?:dashboard: |^)(http:\/\/127\.0\.0\.1:\d+\/)/m.exec(said)
      if (url) found(url[1])
    }
    child.stdout!.on('data', look)
    child.stderr!.on('data', look)
    child.on('exit', code => lost(new Error(`the node ended with ${code} and said:\n${said}`)))
    child.on('error', lost)
  })
  // A token by chance is in no log, only in a file beside the data.
  const url = mock ? plain : chosen ? `${plain}#token=${chosen}` : readFileSync(join(data, 'towpath.url'), 'utf8').trim()
  const origin = new URL(url).origin
  const token = /#token=(.*)$/.exec(url)?.[1]
  const gone = new Promise<void>(done => child.on('exit', () => done()))
  const stop = (signal: NodeJS.Signals) => () => {
    child.kill(signal)
    return gone
  }
  return {
    url,
    ask: async (path, body) => {
      const answer = await fetch(`${origin}/api/v1/${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { ...(token ? { Authorization: 'Bearer ' + token } : {}), 'Content-Type': 'application/json' },
        body: body === undefined ? undefined : JSON.stringify(body),
      })
      const text = await answer.text()
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`)
      return text ? JSON.parse(text) : null
    },
    kill: stop('SIGKILL'),
    end: stop('SIGKILL'),
  }
}

export const test = base.extend<{ run: (file: string, how?: How) => Promise<Running> }>({
  run: async ({}, use) => {
    const ends: (() => Promise<void>)[] = []
    const folders: string[] = []
    await use(async (file, how = {}) => {
      const data = mkdtempSync(join(tmpdir(), 'towpath-ui-'))
      folders.push(data)
      const running = await start(file, data, how)
      ends.push(running.end)
      return running
    })
    for (const end of ends) await end()
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  },
  // Whatever the page complains about is a mistake: a script that the policy stopped, an exception.
  page: async ({ page }, use) => {
    const complaints: string[] = []
    page.on('pageerror', error => complaints.push(error.message))
    page.on('console', line => {
      if (line.type() === 'error' && !/Failed to load resource|ERR_CONNECTION|ERR_INCOMPLETE/.test(line.text())) complaints.push(line.text())
    })
    await use(page)
    expect(complaints).toEqual([])
  },
})
export { expect }

/** Opens a page of the dashboard and waits until it is live. */
export async function open(page: Page, node: Running, way = '') {
  await page.goto(node.url)
  await expect(page.getByText('live', { exact: true })).toBeVisible()
  if (way) await go(page, way)
}
export async function go(page: Page, way: string) {
  await page.evaluate(to => (location.hash = to), '#/' + way)
}
