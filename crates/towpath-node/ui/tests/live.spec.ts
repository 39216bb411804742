// What moves: the picture, a channel's depth, a process that is paused, a node that goes away.
import { expect, go, mock, open, ours, test } from './node'

const names = mock ? { processes: 9, channels: 9, channel: 'requests', slow: 'log' } : { processes: 3, channels: 2, channel: 'bills', slow: 'ledger' }

test('the network appears as a picture and as a table', async ({ page, run }) => {
  const node = await run(ours('flow'))
  await open(page, node, 'network')
  const graph = await node.ask('graph')
  await expect(page.locator('svg a.process')).toHaveCount(names.processes)
  await expect(page.locator('svg a.channel')).toHaveCount(names.channels)
  for (const it of graph.processes) {
    // The words for those who do not see the picture say what it shows.
    await expect(page.locator(`svg a[aria-label^="process ${it.name}, ${it.component}, "]`)).toHaveCount(1)
    const box = page.locator('svg a.process rect').nth(graph.processes.indexOf(it))
    await expect(box).toHaveAttribute('x', String(it.x))
  }
  await page.getByLabel('Show as').selectOption('table')
  await expect(page.getByRole('region', { name: 'Table of the network' }).locator('tbody tr')).toHaveCount(names.channels)
})

test('the arrow keys walk along the channels', async ({ page, run }) => {
  const node = await run(ours('flow'))
  await open(page, node, 'network')
  const first = page.locator('svg a.process').first()
  await first.focus()
  const from = await first.getAttribute('aria-label')
  await page.keyboard.press('ArrowRight')
  await expect(page.locator('svg a.channel:focus')).toHaveAttribute('aria-label', new RegExp(`^channel .* from ${from!.split(/[ ,]/)[1]} to `))
  await page.keyboard.press('ArrowRight')
  await expect(page.locator('svg a.process:focus')).toHaveCount(1)
  expect(await page.locator('svg a.process:focus').getAttribute('aria-label')).not.toBe(from)
  await page.keyboard.press('ArrowLeft')
  await page.keyboard.press('ArrowLeft')
  await expect(first).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { level: 1 })).toContainText(from!.split(/[ ,]/)[1])
})

test('a paused process fills its channel, and the depth moves in the page', async ({ page, run }) => {
  test.skip(mock, 'the mock does not fill channels')
  const node = await run(ours('flow'))
  await open(page, node, 'process/ledger')
  await page.getByRole('button', { name: 'Pause' }).click()
  await expect(page.getByRole('heading', { level: 1 })).toContainText('paused')
  expect((await node.ask('state')).processes[2].state).toBe('paused')
  await go(page, 'channel/bills')
  await expect(page.getByRole('heading', { level: 1 })).toContainText('16/16 full')
  await expect(page.getByRole('region', { name: 'Senders' })).toContainText('till')
  await expect(page.getByRole('region', { name: 'Senders' })).toContainText('waits here for')
  // The chart has drawn something on its canvas.
  await expect(page.locator('.chart canvas')).toHaveCount(2)
  const painted = () => page.locator('.chart canvas').first().evaluate((it: HTMLCanvasElement) => new Set(it.getContext('2d')!.getImageData(0, 0, it.width, it.height).data).size)
  await expect.poll(painted).toBeGreaterThan(8)
  await go(page, 'network')
  await expect(page.locator('svg a.channel.full')).not.toHaveCount(0)
  await go(page, 'process/ledger')
  await page.getByRole('button', { name: 'Resume' }).click()
  await expect(page.getByRole('heading', { level: 1 })).not.toContainText('paused')
  await go(page, 'channel/bills')
  await expect(page.getByRole('heading', { level: 1 })).not.toContainText('full')
})

test('a message that is sent from the page arrives', async ({ page, run }) => {
  test.skip(mock, 'the mock takes everything')
  const node = await run(ours('flow'))
  await open(page, node, 'channel/orders')
  await page.getByLabel('The message, as JSON').fill('{"order": "by hand"')
  await page.getByRole('button', { name: 'Send' }).click()
  await expect(page.getByText('This is not JSON')).toBeVisible()
  await page.getByLabel('The message, as JSON').fill('{"order": "by hand"}')
  await page.getByRole('button', { name: 'Send' }).click()
  await expect(page.getByText('Sent.')).toBeVisible()
})

test('a tap shows messages where the node allows it, and only that they passed where not', async ({ page, run }) => {
  test.skip(mock, 'the mock shows everything')
  for (const args of [['--show-payloads'], []]) {
    const node = await run(ours('flow'), { args })
    await open(page, node, 'channel/orders')
    await page.getByRole('button', { name: 'Start' }).click()
    const seen = page.getByRole('region', { name: 'Tapped messages' })
    await expect(seen.locator('tbody tr').first()).toContainText(args.length ? '"order":' : 'not shown')
    await page.getByRole('button', { name: 'Stop' }).click()
  }
})

test('a node that goes away is told, and found again when it is back', async ({ page, run }) => {
  test.skip(mock, 'the mock has no fixed address')
  const port = 20_000 + Math.floor(Math.random() * 20_000)
  const how = { port, token: 'a-secret-of-the-tests' }
  const first = await run(ours('flow'), how)
  await open(page, first)
  await first.kill()
  await expect(page.getByText(/^Not connected:/)).toBeVisible()
  await expect(page.getByText('not connected', { exact: true })).toBeVisible()
  await run(ours('flow'), how)
  await expect(page.getByText('live', { exact: true })).toBeVisible()
  await expect(page.getByText(/^Not connected:/)).toHaveCount(0)
})

test('without its token the page asks for it, and nothing else is shown', async ({ page, run }) => {
  test.skip(mock, 'the mock has no token')
  const node = await run(ours('flow'))
  await page.goto(new URL(node.url).origin)
  await expect(page.getByRole('heading', { name: 'This node asks for a token' })).toBeVisible()
  await page.getByLabel('Address or token').fill(node.url)
  await page.getByRole('button', { name: 'Enter' }).click()
  await expect(page.getByText('live', { exact: true })).toBeVisible()
  expect(page.url()).not.toContain('token')
})
