// Dead letters and sagas, on the network of rides: what failed is looked at, sent again, and run now.
import { expect, mock, network, open, test } from './node'

const facet = async (node: any, kind: string) => (await node.ask('facets')).find((it: any) => it.kind === kind).process

test('dead letters are counted by cause, tried dry, and replayed', async ({ page, run }) => {
  const node = await run(network('rides'))
  await open(page, node, 'dead-letters')
  const where = `facets/${encodeURIComponent(await facet(node, 'dead_letters'))}`
  await expect.poll(async () => (await node.ask(where)).total, { timeout: 40_000 }).toBeGreaterThan(0)
  const letters = page.getByRole('region', { name: 'Letters' })
  await expect(letters.locator('tbody tr').first()).toBeVisible()
  const { groups } = await node.ask(where)
  await expect(page.getByRole('button', { name: groups[0].cause, exact: true })).toBeVisible()
  // One letter, so that it can be told from those that come meanwhile.
  const box = letters.getByRole('checkbox').first()
  const id = (await box.getAttribute('aria-label'))!.replace('Letter ', '')
  await box.check()
  await page.getByRole('button', { name: 'Dry run' }).click()
  await expect(page.getByText('Would replay 1 letter.')).toBeVisible()
  const has = async () => (await node.ask(where + '?limit=1000')).letters.some((it: any) => String(it.id) === id)
  expect(await has()).toBe(true)
  await page.getByRole('button', { name: 'Replay' }).click()
  await expect(page.getByText('Replayed 1 letter.')).toBeVisible()
  await expect.poll(has).toBe(false)
  await expect(page.getByRole('checkbox', { name: 'Letter ' + id, exact: true })).toHaveCount(0)
})

test('a saga says why it waits, and is run now', async ({ page, run }) => {
  const node = await run(network('rides'))
  await open(page, node, 'sagas')
  const where = `facets/${encodeURIComponent(await facet(node, 'saga'))}?limit=200`
  const waiting = async () => (await node.ask(where)).sagas.find((it: any) => it.why && it.next_in_ms > 1500)
  await expect.poll(waiting, { timeout: 40_000 }).toBeTruthy()
  const row = page.getByRole('region', { name: 'Sagas' }).locator('tbody tr', { hasText: 'tries again in' }).first()
  await expect(row).toBeVisible()
  const key = await row.getByRole('button').first().innerText()
  const attempts = async () => (await node.ask(where)).sagas.find((it: any) => it.key === key)?.attempts ?? 0
  const before = await attempts()
  const asked = page.waitForRequest(it => it.method() === 'POST' && it.url().endsWith('/resume'))
  await row.getByRole('button', { name: 'Run now' }).click()
  expect((await asked).postDataJSON()).toEqual({ key })
  // It has tried again, or is done and has left the list.
  if (!mock) await expect.poll(async () => (await attempts()) !== before).toBe(true)
})
