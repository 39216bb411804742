// The first page: what is wrong, and if nothing is, how much goes where.
import { useComputed } from '@preact/signals'
import type { DeadLetters, Failure, Sagas } from './api'
import {
  age, Badge, ChannelLink, Depth, depth, href, Page, plural, ProcessLink, rate, Rates, Shape, short, shown, usePoll, type Shown,
} from './parts'
import { about, beat, channels, facets, members, processes, stuck, type ChannelRow } from './store'

const STATES: Shown[] = ['stuck', 'blocked', 'failed', 'restarting', 'busy', 'paused', 'idle', 'ended']
/** Rows of each list; more is what the channels' page is for. */
const TOP = 8

export function Overview() {
  const sums = useComputed(() => {
    beat.value
    const states: Partial<Record<Shown, number>> = {}
    let refused = 0
    for (const row of processes.value) {
      const it = row.now.peek()
      const state = shown(it)
      states[state] = (states[state] ?? 0) + 1
      refused += it.refused
    }
    let [received, inside, dropped, total] = [0, 0, 0, 0]
    for (const row of channels.value) {
      const it = row.now.peek()
      received += row.rates.peek()[1]
      inside += it.length
      dropped += it.dropped
      total += it.received
    }
    return { states, refused, received, inside, dropped, total }
  })
  const busiest = useComputed(() => {
    beat.value
    const all = channels.value.filter(it => it.rates.peek()[1] > 0 || it.now.peek().received > 0)
    return all.sort((a, b) => b.rates.peek()[1] - a.rates.peek()[1] || b.now.peek().received - a.now.peek().received).slice(0, TOP)
  })
  const fullest = useComputed(() => {
    beat.value
    const all = channels.value.filter(it => depth(it.now.peek()) > 0)
    return all.sort((a, b) => depth(b.now.peek()) - depth(a.now.peek())).slice(0, TOP)
  })
  const { states, refused, received, inside, dropped, total } = sums.value
  return (
    <Page title="Overview" note={<>{plural(processes.value.length, 'process', 'processes')} and {plural(channels.value.length, 'channel')} from <code>{about.value?.file}</code></>}>
      <Trouble />
      <section aria-label="Totals" class="tiles">
        <Tile name="Messages received" value={rate(received)} note={short(total) + ' in all'} />
        <Tile name="Waiting in channels" value={short(inside)} />
        <Tile name="Refused" value={short(refused)} note="by processes" bad={refused > 0} />
        <Tile name="Dropped" value={short(dropped)} note="by full channels" bad={dropped > 0} />
        {facets.value.some(it => it.kind === 'saga' || it.kind === 'dead_letters') && <Patterns />}
      </section>
      <section aria-labelledby="states">
        <h2 id="states">Processes</h2>
        <ul class="states">
          {STATES.filter(it => states[it]).map(it => (
            <li><a href={href('processes') + '?' + it}><Badge of={it} /> <span class="num">{short(states[it]!)}</span></a></li>
          ))}
        </ul>
      </section>
      <div class="two">
        <section aria-labelledby="busiest">
          <h2 id="busiest">Busiest channels</h2>
          <Channels rows={busiest.value} none="No message has been received yet." />
        </section>
        <section aria-labelledby="fullest">
          <h2 id="fullest">Fullest channels</h2>
          <Channels rows={fullest.value} none="All channels are empty." />
        </section>
      </div>
      <Errors />
    </Page>
  )
}

function Trouble() {
  const names = members.value
  const kind = stuck.value.some(it => it.grade === 'proven') ? 'proven' : (stuck.value[0]?.grade ?? '')
  if (!names.length) {
    return <p class="calm"><span class="is-busy"><Shape of="busy" /></span> Nothing is stuck: everybody who waits can still be reached by a message.</p>
  }
  return (
    <section class="trouble" aria-labelledby="trouble">
      <h2 id="trouble">
        {plural(names.length, 'process', 'processes')} stuck: <a href={href('process', names[0])}>start here</a>
      </h2>
      <p class="note">{kind === 'proven' ? 'Proved: nothing that can still happen would wake them.' : `Not proved, ${kind}: somebody outside could still wake them.`}</p>
      <ul>
        {stuck.value.slice(0, 5).map(it => (
          <li>
            <Badge of="stuck" more={it.grade + (it.cycle ? ', in a circle' : '')} />{' '}
            {it.members.slice(0, 8).map((name, i) => <>{i > 0 && ', '}<ProcessLink name={name} /></>)}
            {it.members.length > 8 && ` and ${it.members.length - 8} more`}
            <p class="words">{it.words.trim()}</p>
          </li>
        ))}
      </ul>
    </section>
  )
}

function Tile({ name, value, note, bad, to }: { name: string; value: string; note?: string; bad?: boolean; to?: string }) {
  return (
    <div class={bad ? 'tile bad' : 'tile'}>
      <span class="name">{to ? <a href={to}>{name}</a> : name}</span>
      <span class="value num">{value}</span>
      {note && <span class="note">{note}</span>}
    </div>
  )
}

/** What facets have to say in one number each. */
function Patterns() {
  const of = (kind: string) => facets.value.find(it => it.kind === kind)?.process ?? null
  const dead = of('dead_letters')
  const saga = of('saga')
  const letters = usePoll<DeadLetters>(dead && `facets/${encodeURIComponent(dead)}?limit=1`, 3000).data
  const sagas = usePoll<Sagas>(saga && `facets/${encodeURIComponent(saga)}?limit=1`, 3000).data
  const open = Object.entries(sagas?.counts ?? {}).filter(([state]) => !/done|compensated|failed|cancel/i.test(state))
  return (
    <>
      {dead && letters && <Tile name="Dead letters" to={href('dead-letters')} value={short(letters.total)} bad={letters.total > 0} note={dead} />}
      {saga && sagas && <Tile name="Sagas under way" to={href('sagas')} value={short(open.reduce((sum, [, n]) => sum + n, 0))} note={saga} />}
    </>
  )
}

function Channels({ rows, none }: { rows: ChannelRow[]; none: string }) {
  if (!rows.length) return <p class="note">{none}</p>
  return (
    <table class="plain">
      <thead><tr><th scope="col">Channel</th><th scope="col" class="num">Received</th><th scope="col">Depth</th></tr></thead>
      <tbody>{rows.map(row => <Line key={row.index} row={row} />)}</tbody>
    </table>
  )
}
const Line = ({ row }: { row: ChannelRow }) => (
  <tr>
    <td><ChannelLink name={row.now.peek().name} /></td>
    <td class="num"><Rates row={row} /></td>
    <td><Depth row={row} /></td>
  </tr>
)

function Errors() {
  const { data } = usePoll<Failure[]>('errors?limit=3', 3000)
  if (!data?.length) return null
  return (
    <section aria-labelledby="errors">
      <h2 id="errors">Last errors</h2>
      <ul class="lines">
        {data.map(it => <li><ProcessLink name={it.process} /> <span class="note">{age(it.ago_ms)} ago, {it.kind}</span><p>{it.text}</p></li>)}
      </ul>
      <p><a href={href('errors')}>All errors</a></p>
    </section>
  )
}
