// Dead letters and sagas: what failed is looked at, sent again, and run now.
import { expect, mock, open, ours, test, type Running } from './node'

const facet = async (node: Running, kind: string) => {
  const found = async () => (await node.ask('facets')).find((it: any) => it.kind === kind)?.process
  // It is there when its process is up, a moment after the node.
  await expect.poll(found).toBeTruthy()
  return `facets/${encodeURIComponent(await found())}?limit=1000`
}

test('dead letters are counted by cause, tried dry, and replayed', async ({ page, run }) => {
  const node = await run(ours('patterns'))
  const where = await facet(node, 'dead_letters')
  if (!mock) {
    for (const id of [1, 2, 3]) await node.ask('channels/refused/inject', { error: id < 3 ? 'no such city' : 'no such driver', message: { id } })
  }
  await open(page, node, 'dead-letters')
  const groups = page.getByRole('button', { name: mock ? 'no driver within 5 km' : /no such city/ })
  await expect(groups).toBeVisible()
  const total = async () => (await node.ask(where)).total
  const before = await total()
  expect(before).toBe(mock ? 12 : 3)
  const letters = page.getByRole('region', { name: 'Letters' })
  await expect(letters.locator('tbody tr')).toHaveCount(before)
  // All of one cause: first dry, then for real.
  await groups.click()
  const some = mock ? 4 : 2
  await expect(letters.locator('tbody tr')).toHaveCount(some)
  await page.getByRole('button', { name: 'Dry run' }).click()
  await expect(page.getByText(`Would replay ${some} letters.`)).toBeVisible()
  expect(await total()).toBe(before)
  await page.getByRole('button', { name: 'Replay', exact: true }).click()
  await expect(page.getByText(`Replayed ${some} letters.`)).toBeVisible()
  await expect.poll(total).toBe(before - some)
  // They have gone where the file sends them.
  if (!mock) await expect.poll(async () => (await node.ask('state')).channels.find((it: any) => it.name === 'again').received).toBe(2)
  await expect(groups).toHaveCount(0)
})

test('a saga that waits for a person says why, shows what it has done, and is run now', async ({ page, run }) => {
  const node = await run(ours('patterns'))
  await open(page, node, 'sagas')
  const where = await facet(node, 'saga')
  const row = page.getByRole('region', { name: 'Sagas' }).locator('tbody tr', { hasText: mock ? 'try later' : 'not available' }).first()
  await expect(row).toBeVisible({ timeout: 30_000 })
  const key = await row.getByRole('button').first().innerText()
  await row.getByRole('button', { name: key }).click()
  await expect(page.locator('tr.more')).toContainText(mock ? 'charge' : 'waits for a person')
  const steps = async () => (await node.ask(where)).sagas.find((it: any) => it.key === key)?.history.length ?? 0
  const before = await steps()
  const asked = page.waitForRequest(it => it.method() === 'POST' && it.url().endsWith('/resume'))
  await row.getByRole('button', { name: 'Run now' }).click()
  expect((await asked).postDataJSON()).toEqual({ key })
  await expect(page.getByText('Under way.')).toBeVisible()
  // It has tried again, and written it down.
  if (!mock) await expect.poll(steps).toBeGreaterThan(before)
})
