// Who is stuck is named on the first page, with the line of code it waits in and with what it waits for.
import { expect, mock, open, ours, test } from './node'

test('a stuck process is named with its place and its cause', async ({ page, run }) => {
  const node = await run(ours('stuck'))
  await open(page, node)
  const trouble = page.getByRole('region', { name: /processes stuck: start here/ })
  await expect(trouble).toBeVisible({ timeout: 30_000 })
  // Two hold each other, and the one who feeds them waits behind.
  const stuck = async () => (await node.ask('state')).processes.filter((it: any) => it.stuck === 'proven').map((it: any) => it.name)
  await expect.poll(stuck).toEqual(mock ? ['gate', 'dispatch', 'backup'] : ['source', 'ping', 'pong'])
  const state = await node.ask('state')
  const circle: string[] = state.stuck[0].members
  const members: string[] = [...new Set<string>([...circle, ...(await stuck())])]
  await expect(trouble).toContainText(`${members.length} processes stuck`)
  await expect(trouble).toContainText('proven')
  for (const name of circle) await expect(trouble.getByRole('link', { name, exact: true })).toBeVisible()
  await trouble.getByRole('link', { name: 'start here' }).click()
  await expect(page.getByRole('heading', { level: 1 })).toContainText(members[0])
  await expect(page.getByRole('heading', { level: 1 })).toContainText('stuck, proven')
  // The place: a file, a line and a column, in the program and in the network file.
  if (!mock) await expect(page.getByText(/declared at .*stuck\.yaml:\d+:\d+/)).toBeVisible()
  await expect(page.locator('.at').first()).toHaveText(/\.rs:\d+:\d+$/)
  const wait = state.processes.find((it: any) => it.name === members[0]).waits[0]
  await expect(page.locator('.at').first()).toHaveText(wait.at)
  await expect(page.getByRole('region', { name: 'Waits', exact: true })).toContainText(wait.on)
  // The cause: the chain names everybody in the circle.
  const why = page.getByRole('region', { name: 'Why it waits' })
  for (const name of circle) await expect(why).toContainText(name)
  // In the picture it has a shape and a word, not only a colour.
  await page.getByRole('link', { name: 'Network' }).click()
  for (const name of members) {
    const box = page.locator(`svg a[aria-label^="process ${name},"]`)
    await expect(box).toHaveAttribute('aria-label', /stuck$/)
    await expect(box.locator('.state')).toHaveText('stuck')
  }
})
