// All processes and all channels, as tables that hold thousands.
import { useComputed, useSignal } from '@preact/signals'
import { ChannelLink, Badge, Choice, Depth, depth, Empty, Page, plural, ProcessLink, Rates, Search, Table, age, short, shown, since, waiting, type Column } from './parts'
import { beat, channels, processes, seconds, type ChannelRow, type ProcessRow } from './store'

const ORDER = ['stuck', 'failed', 'blocked', 'restarting', 'paused', 'busy', 'idle', 'ended']

export function Processes({ query }: { query: string }) {
  const words = useSignal(query)
  const by = useSignal<'trouble' | 'name' | 'received' | 'file'>('trouble')
  const rows = useComputed(() => {
    beat.value
    const text = words.value.toLowerCase()
    const fits = processes.value.filter(row => {
      const it = row.now.peek()
      return !text || it.name.toLowerCase().includes(text) || it.component.includes(text) || shown(it).startsWith(text)
    })
    const worse = (row: ProcessRow) => ORDER.indexOf(shown(row.now.peek()))
    if (by.value === 'trouble') fits.sort((a, b) => worse(a) - worse(b) || a.index - b.index)
    if (by.value === 'name') fits.sort((a, b) => (a.now.peek().name < b.now.peek().name ? -1 : 1))
    if (by.value === 'received') fits.sort((a, b) => b.now.peek().received - a.now.peek().received)
    return fits
  })
  return (
    <Page title="Processes" note={plural(processes.value.length, 'process', 'processes')}
      tools={<>
        <Search label="Name, component or state" value={words.value} onInput={text => (words.value = text)} />
        <Choice label="Order by" value={by.value} of={['trouble', 'name', 'received', 'file']} onChange={it => (by.value = it)} />
      </>}>
      {rows.value.length ? <Table label="Processes" rows={rows.value} columns={PROCESS} /> : <Empty title="No process fits these words." />}
    </Page>
  )
}

const PROCESS: Column<ProcessRow>[] = [
  { head: 'Process', cell: row => <ProcessLink name={row.now.value.name} />, width: '18%' },
  { head: 'State', cell: row => <Badge of={shown(row.now.value)} more={row.now.value.stuck ?? ''} />, width: '13%' },
  { head: 'Waits', cell: row => <Waits row={row} /> },
  { head: 'Received', num: true, cell: row => short(row.now.value.received), width: '8%' },
  { head: 'Sent', num: true, cell: row => short(row.now.value.sent), width: '8%' },
  { head: 'Refused', num: true, cell: row => short(row.now.value.refused), width: '8%' },
  { head: 'Starts', num: true, cell: row => short(row.now.value.starts), width: '7%' },
]
function Waits({ row }: { row: ProcessRow }) {
  const wait = row.now.value.waits[0]
  if (!wait) return null
  seconds.value
  const { words, on } = waiting(wait)
  return <>{words} {on && <ChannelLink name={on} />} <span class="note num">{age(since(row, wait))}</span></>
}

export function Channels({ query }: { query: string }) {
  const words = useSignal(query)
  const by = useSignal<'depth' | 'rate' | 'dropped' | 'name' | 'file'>('depth')
  const rows = useComputed(() => {
    beat.value
    const text = words.value.toLowerCase()
    const fits = channels.value.filter(row => {
      const it = row.now.peek()
      return !text || it.name.toLowerCase().includes(text) || (it.type ?? '').toLowerCase().includes(text)
    })
    const sorts: Record<string, (a: ChannelRow, b: ChannelRow) => number> = {
      depth: (a, b) => depth(b.now.peek()) - depth(a.now.peek()) || a.index - b.index,
      rate: (a, b) => b.rates.peek()[1] - a.rates.peek()[1] || a.index - b.index,
      dropped: (a, b) => b.now.peek().dropped - a.now.peek().dropped || a.index - b.index,
      name: (a, b) => (a.now.peek().name < b.now.peek().name ? -1 : 1),
    }
    return sorts[by.value] ? fits.sort(sorts[by.value]) : fits
  })
  return (
    <Page title="Channels" note={plural(channels.value.length, 'channel')}
      tools={<>
        <Search label="Name or type" value={words.value} onInput={text => (words.value = text)} />
        <Choice label="Order by" value={by.value} of={['depth', 'rate', 'dropped', 'name', 'file']} onChange={it => (by.value = it)} />
      </>}>
      {rows.value.length ? <Table label="Channels" rows={rows.value} columns={CHANNEL} /> : <Empty title="No channel fits these words." />}
    </Page>
  )
}
const CHANNEL: Column<ChannelRow>[] = [
  { head: 'Channel', cell: row => <ChannelLink name={row.now.value.name} />, width: '20%' },
  { head: 'Type', cell: row => row.now.value.type ?? <span class="note">any</span>, width: '14%' },
  { head: 'Depth', cell: row => <Depth row={row} /> },
  { head: 'Received', num: true, cell: row => <Rates row={row} />, width: '9%' },
  { head: 'In all', num: true, cell: row => short(row.now.value.received), width: '9%' },
  { head: 'Dropped', num: true, cell: row => short(row.now.value.dropped), width: '8%' },
  { head: 'Wait to send', num: true, cell: row => short(row.now.value.waiting_send), width: '10%' },
  { head: 'Wait to receive', num: true, cell: row => short(row.now.value.waiting_recv), width: '10%' },
]
