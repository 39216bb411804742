// One channel: how full it is and was, who waits on either side, what goes through it.
import { useComputed, useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { ask, encode, listen, told } from './api'
import { Badge, Depth, Empty, Order, Page, plural, Problem, ProcessLink, age, rate, short, shown, since } from './parts'
import { channelOf, graph, processes, seconds, uptime, type ChannelRow } from './store'

export function ChannelPage({ name }: { name: string }) {
  const row = channelOf(name)
  if (!row) return <Page title={name}><Empty title="There is no such channel.">It may have gone with a reload.</Empty></Page>
  return <Known key={name} row={row} name={name} />
}

function Known({ row, name }: { row: ChannelRow; name: string }) {
  const it = row.now.value
  seconds.value
  const drawn = graph.value?.channels.find(c => c.name === name)
  const quiet = it.unchanged_ms + Math.max(0, uptime() - row.touched)
  return (
    <Page title={<>{name} <Depth row={row} /></>}
      note={<>{it.type ?? 'messages of any type'}, {it.capacity === 0 ? 'a rendezvous' : it.capacity == null ? 'unbounded' : `room for ${it.capacity}`}{drawn ? `, when full: ${drawn.full}` : ''}</>}>
      <section aria-label="Totals" class="tiles small">
        <Tile name="Sent" value={short(it.sent)} note={rate(row.rates.value[0])} />
        <Tile name="Received" value={short(it.received)} note={rate(row.rates.value[1])} />
        <Tile name="Dropped" value={short(it.dropped)} bad={it.dropped > 0} />
        <Tile name="Last change" value={quiet < 1500 ? 'now' : age(quiet) + ' ago'} bad={quiet > 10_000 && it.length > 0} />
      </section>
      <Chart row={row} />
      <div class="two">
        <Side title="Senders" names={drawn?.from ?? []} count={it.senders} waiting={it.waiting_send} channel={name} what={['send', 'reserve']} />
        <Side title="Receivers" names={drawn?.to ? [drawn.to] : []} count={it.receivers} waiting={it.waiting_recv} channel={name} what={['recv']} />
      </div>
      <Tap name={name} />
      <Inject name={name} />
    </Page>
  )
}
const Tile = ({ name, value, note, bad }: { name: string; value: string; note?: string; bad?: boolean }) => (
  <div class={bad ? 'tile bad' : 'tile'}><span class="name">{name}</span><span class="value num">{value}</span>{note && <span class="note">{note}</span>}</div>
)

function Chart({ row }: { row: ChannelRow }) {
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => {
    let end: (() => void) | undefined
    let gone = false
    void import('./chart').then(({ draw }) => {
      if (!gone) end = draw(box.current!, row)
    })
    return () => {
      gone = true
      end?.()
    }
  }, [row])
  return <section class="chart" aria-label="Depth and rates of the last minute; the numbers above say the same" ref={box} />
}

function Side({ title, names, count, waiting, channel, what }: {
  title: string; names: string[]; count: number; waiting: number; channel: string; what: string[]
}) {
  // Reads every row of a process that holds this side, and no other.
  const rows = useComputed(() => processes.value.filter(row => names.includes(row.now.peek().name)))
  const id = 'side-' + title
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      <p class="note">{plural(count, 'end is open', 'ends are open')}, {waiting ? `${waiting} waiting` : 'nobody waits'}</p>
      <ul class="lines">
        {rows.value.map(row => {
          const it = row.now.value
          const wait = it.waits.find(wait => wait.on === channel && what.includes(wait.what))
          return (
            <li>
              <ProcessLink name={it.name} /> <Badge of={shown(it)} />{' '}
              {wait && <span>waits here for <span class="num">{age(since(row, wait))}</span>{wait.at && <> at <code class="at">{wait.at}</code></>}</span>}
            </li>
          )
        })}
      </ul>
    </section>
  )
}

/** Messages kept on the page; the tap goes on, older ones leave. */
const TAPPED = 50
type Tapped = { at_ms: number; message?: unknown; trace?: string | null }

function Tap({ name }: { name: string }) {
  const seen = useSignal<Tapped[]>([])
  const on = useSignal(false)
  const where = useSignal('')
  const error = useSignal('')
  const source = useRef<EventSource | null>(null)
  const stop = () => {
    source.current?.close()
    on.value = false
  }
  useEffect(() => stop, [])
  const start = () => {
    seen.value = []
    error.value = ''
    on.value = true
    source.current = listen(`tap/${encode(name)}?limit=1000${where.value ? '&where=' + encode(where.value) : ''}`)
    source.current.addEventListener('message', event => {
      try {
        seen.value = [JSON.parse(event.data), ...seen.value].slice(0, TAPPED)
      } catch (problem) {
        error.value = told(problem)
      }
    })
    source.current.onerror = () => {
      if (!seen.value.length) error.value = 'The node refused the tap or ended it. If there is an expression, is it right?'
      stop()
    }
  }
  return (
    <section aria-labelledby="tap">
      <h2 id="tap">Tap</h2>
      <p class="note">Copies of what goes through, from now on. The messages themselves are only told where the node was started with <code>--show-payloads</code>.</p>
      <form class="row" onSubmit={event => {
        event.preventDefault()
        if (on.value) stop()
        else start()
      }}>
        <input type="text" aria-label="Only messages for which this is true" placeholder="Only where, for example: id > 10" value={where.value} onInput={event => (where.value = event.currentTarget.value)} />
        <button type="submit">{on.value ? 'Stop' : 'Start'}</button>
      </form>
      <Problem text={error.value} />
      {on.value && !seen.value.length && <p class="note" role="status">Waiting for a message.</p>}
      {seen.value.length > 0 && (
        <div class="scroll short" tabIndex={0} role="region" aria-label="Tapped messages">
          <table class="plain">
            <thead><tr><th scope="col" class="num">At</th><th scope="col">Message</th><th scope="col">Trace</th></tr></thead>
            <tbody>{seen.value.map(it => (
              <tr><td class="num">{age(it.at_ms)}</td><td>{it.message === undefined ? <span class="note">not shown</span> : <code>{JSON.stringify(it.message)}</code>}</td><td>{it.trace && <code>{it.trace.slice(0, 16)}</code>}</td></tr>
            ))}</tbody>
          </table>
        </div>
      )}
    </section>
  )
}

function Inject({ name }: { name: string }) {
  const text = useSignal('{}')
  return (
    <section aria-labelledby="inject">
      <h2 id="inject">Send a message</h2>
      <textarea aria-label="The message, as JSON" rows={3} spellcheck={false} value={text.value} onInput={event => (text.value = event.currentTarget.value)} />
      <p><Order label="Send" run={async () => {
        let message
        try {
          message = JSON.parse(text.value)
        } catch (error) {
          throw new Error('This is not JSON: ' + told(error))
        }
        await ask(`channels/${encode(name)}/inject`, message)
        return 'Sent.'
      }} /></p>
    </section>
  )
}
