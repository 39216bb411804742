// Traces: a list, each as a waterfall, and the way from one to another by its links.
import { expect, go, mock, open, ours, test } from './node'

test('a trace is shown as a waterfall, with what failed and why', async ({ page, run }) => {
  test.skip(mock, 'the mock has traces of its own')
  const node = await run(ours('traces'), { args: ['--sample', '1'] })
  await open(page, node, 'traces')
  const list = page.getByRole('region', { name: 'Traces' })
  // Each second order is refused: its trace says so in the list, and its span says why.
  const bad = list.locator('tbody tr').filter({ hasText: '✕ error' }).first()
  await expect(bad).toContainText('shop')
  const begin = await bad.locator('code').innerText()
  await bad.getByRole('button').click()
  const spans = page.getByRole('region', { name: 'Spans of the trace' })
  await expect(page.getByRole('heading', { level: 2 })).toContainText(begin)
  await expect(spans.locator('tbody tr')).toHaveCount(2)
  const till = spans.locator('tbody tr').nth(1)
  await expect(till).toContainText('till ✕ no condition is true for this message')
  await expect(till.getByRole('link', { name: 'orders' })).toBeVisible()
  // What the page shows is what the node says.
  const told = (await node.ask('traces?limit=1000')).find((it: { trace: string }) => it.trace.startsWith(begin))
  expect(told.spans.map((it: { process: string; status: string }) => [it.process, it.status])).toEqual([['shop', 'ok'], ['till', 'error']])
  expect(told.spans[1].parent).toBe(told.spans[0].id)
  // Bars lie in their lane, the later one not before the earlier.
  const left = (row: number) => spans.locator('tbody tr').nth(row).locator('.lane > span').evaluate(it => parseFloat((it as HTMLElement).style.left))
  expect(await left(0)).toBe(0)
  expect(await left(1)).toBeGreaterThanOrEqual(0)
  await page.getByRole('button', { name: 'Close' }).click()
  await expect(spans).toHaveCount(0)
})

test('a link leads to the other trace', async ({ page, run }) => {
  test.skip(mock, 'the mock has no links')
  const node = await run(ours('traces'), { args: ['--sample', '1'] })
  await open(page, node, 'traces')
  await page.getByLabel('Trace, process or channel').fill('bills')
  await page.getByRole('region', { name: 'Traces' }).locator('tbody tr').first().getByRole('button').click()
  const spans = page.getByRole('region', { name: 'Spans of the trace' })
  await expect(spans).toContainText('ledger')
  const link = spans.getByRole('button', { name: /^Open the linked trace / })
  const other = await link.innerText()
  await link.click()
  await expect(page.getByRole('heading', { level: 2 })).toContainText(other)
  await expect(spans.locator('tbody tr').nth(1)).toContainText('till')
  await go(page, 'traces')
})

test('without a sample there are no traces, and the page says how to have them', async ({ page, run }) => {
  test.skip(mock, 'the mock always has some')
  const node = await run(ours('traces'), { args: ['--sample', '0'] })
  await open(page, node, 'traces')
  await expect(page.getByText('No traces yet.')).toBeVisible()
  await expect(page.getByText('towpath run --sample')).toBeVisible()
})
