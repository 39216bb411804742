// The last traces, each as a waterfall: who worked on a message when.
import { useSignal } from '@preact/signals'
import type { Span, Trace } from './api'
import { ChannelLink, Empty, Page, plural, Problem, ProcessLink, Search, usePoll } from './parts'

const us = (n: number) => (n < 1000 ? Math.round(n) + ' µs' : n < 1e6 ? (n / 1000).toFixed(1) + ' ms' : (n / 1e6).toFixed(2) + ' s')

export function Traces() {
  const { data, error } = usePoll<Trace[]>('traces?limit=50', 2000)
  const words = useSignal('')
  const kept = useSignal<Trace | null>(null)
  const fits = (data ?? []).filter(it => !words.value || JSON.stringify(it).includes(words.value))
  // One that is still under way gets longer; one that the node has forgotten stays open as it was.
  const open = data?.find(it => it.trace === kept.value?.trace) ?? kept.value
  return (
    <Page title="Traces" note="The last messages whose way was recorded." tools={<Search label="Trace, process or channel" value={words.value} onInput={text => (words.value = text)} />}>
      <Problem text={error} />
      {data && !data.length && <Empty title="No traces yet.">Channels with <code>trace: parent</code> or <code>link</code> are traced. Of what begins in the network a part is recorded (<code>towpath run --sample</code>), and all that a caller records himself.</Empty>}
      {open && (
        <section aria-labelledby="trace">
          <h2 id="trace">Trace <code>{open.trace.slice(0, 16)}</code> <button type="button" onClick={() => (kept.value = null)}>Close</button></h2>
          <Waterfall of={open} all={data ?? []} onOpen={it => (kept.value = it)} />
        </section>
      )}
      {fits.length > 0 && (
        <div class="scroll tall" tabIndex={0} role="region" aria-label="Traces">
          <table>
            <thead><tr><th scope="col">Trace</th><th scope="col">Begins in</th><th scope="col" class="num">Spans</th><th scope="col" class="num">Took</th><th scope="col">Status</th></tr></thead>
            <tbody>{fits.map(it => {
              const [from, to] = range(it.spans)
              const first = ordered(it.spans)[0]?.[0]
              const bad = it.spans.some(failed)
              return (
                <tr key={it.trace}>
                  <td><button type="button" class="link" aria-pressed={open?.trace === it.trace} onClick={() => (kept.value = it)}><code>{it.trace.slice(0, 16)}</code></button></td>
                  <td>{first?.process ? <ProcessLink name={first.process} /> : first?.name}</td>
                  <td class="num">{it.spans.length}</td><td class="num">{us(to - from)}</td><td class={bad ? 'bad' : ''}>{bad ? '✕ error' : 'ok'}</td>
                </tr>
              )
            })}</tbody>
          </table>
        </div>
      )}
    </Page>
  )
}

const failed = (it: Span) => /error|fail/i.test(it.status ?? '')
const range = (spans: Span[]) => [Math.min(...spans.map(it => it.start_us)), Math.max(...spans.map(it => it.end_us))]

/** Parents before children, children by their beginning; with the depth of each. */
function ordered(spans: Span[]): [Span, number][] {
  const ids = new Set(spans.map(it => it.id))
  const below = new Map<string, Span[]>()
  for (const it of [...spans].sort((a, b) => a.start_us - b.start_us)) {
    const parent = it.parent && ids.has(it.parent) && it.parent !== it.id ? it.parent : ''
    below.set(parent, [...(below.get(parent) ?? []), it])
  }
  const all: [Span, number][] = []
  const walk = (parent: string, depth: number) => {
    for (const it of below.get(parent) ?? []) {
      all.push([it, depth])
      below.set(parent, [])
      walk(it.id, depth + 1)
    }
  }
  walk('', 0)
  return all
}

/** Its links lead to the other trace, as long as that is kept. */
function Links({ of, all, onOpen }: { of: Span; all: Trace[]; onOpen: (it: Trace) => void }) {
  return (
    <>{of.links.map(link => {
      const to = all.find(it => it.trace === link.trace)
      const words = link.trace.slice(0, 16)
      return (
        <span class="note" key={link.span}> linked to {to
          ? <button type="button" class="link" aria-label={`Open the linked trace ${words}`} onClick={() => onOpen(to)}><code>{words}</code></button>
          : <code>{words}</code>}
        </span>
      )
    })}</>
  )
}

function Waterfall({ of, all, onOpen }: { of: Trace; all: Trace[]; onOpen: (it: Trace) => void }) {
  const [from, to] = range(of.spans)
  const whole = Math.max(1, to - from)
  return (
    <>
      <p class="note">{plural(of.spans.length, 'span')} in {us(whole)}</p>
      <div class="scroll short" tabIndex={0} role="region" aria-label="Spans of the trace">
        <table class="waterfall">
          <thead><tr><th scope="col">Span</th><th scope="col">Process</th><th scope="col">Channel</th><th scope="col" class="num">Took</th><th scope="col">When</th></tr></thead>
          <tbody>{ordered(of.spans).map(([it, depth]) => (
            <tr key={it.id} class={failed(it) ? 'bad' : ''}>
              <td style={{ paddingLeft: 10 + depth * 16 + 'px' }}>{it.name}{failed(it) && ' ✕ ' + (it.why ?? it.status)}<Links of={it} all={all} onOpen={onOpen} /></td>
              <td>{it.process && <ProcessLink name={it.process} />}</td>
              <td>{it.channel && <ChannelLink name={it.channel} />}</td>
              <td class="num">{us(it.end_us - it.start_us)}</td>
              <td class="wide"><span class="lane" aria-hidden="true"><span style={{ left: ((it.start_us - from) / whole) * 100 + '%', width: `max(2px, ${((it.end_us - it.start_us) / whole) * 100}%)` }} /></span></td>
            </tr>
          ))}</tbody>
        </table>
      </div>
    </>
  )
}
