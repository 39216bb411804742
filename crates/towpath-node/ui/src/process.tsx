// One process: what it does now, what it waits for and since when, and who could wake it.
import { useComputed } from '@preact/signals'
import { ask, encode, type Why } from './api'
import { Machines, DeadLetterBox, Sagas, Values } from './facets'
import { Badge, ChannelLink, Depth, Empty, Order, Page, Problem, ProcessLink, Rates, age, short, shown, since, usePoll, waiting } from './parts'
import { channelOf, facets, graph, processOf, seconds, type ProcessRow } from './store'

export function Process({ name }: { name: string }) {
  const row = processOf(name)
  if (!row) return <Page title={name}><Empty title="There is no such process.">It may have gone with a reload.</Empty></Page>
  return <Known row={row} name={name} />
}

function Known({ row, name }: { row: ProcessRow; name: string }) {
  const it = row.now.value
  seconds.value
  const placed = graph.value?.processes.find(p => p.name === name)
  const facet = facets.value.find(f => f.process === name)
  const paused = it.state === 'paused'
  return (
    <Page title={<>{name} <Badge of={shown(it)} more={it.stuck ?? ''} /></>} note={<>{it.component}{placed?.about ? ': ' + placed.about : ''}{it.declared && <>, declared at <code>{it.declared}</code></>}</>}
      tools={<Order key={String(paused)} label={paused ? 'Resume' : 'Pause'} run={async () => {
        await ask(`processes/${encode(name)}/${paused ? 'resume' : 'pause'}`, {})
      }} />}>
      <section aria-labelledby="waits">
        <h2 id="waits">{it.waits.length ? 'Waits' : 'Now'}</h2>
        {it.waits.length === 0 && <p>{it.state === 'ended' ? 'It has ended.' : 'It waits for nothing: it is working.'}</p>}
        <ul class="lines">
          {it.waits.map(wait => {
            const { words, on } = waiting(wait)
            return (
              <li>
                {words} {on && <strong><ChannelLink name={on} /></strong>} <span class="note">for</span> <span class="num">{age(since(row, wait))}</span>
                {wait.at && <p>at <code class="at">{wait.at}</code></p>}
              </li>
            )
          })}
        </ul>
      </section>
      <Chain name={name} waits={it.waits.length > 0} />
      <section aria-label="Totals" class="tiles small">
        {([['Received', it.received], ['Sent', it.sent], ['Refused', it.refused], ['Starts', it.starts]] as const).map(([what, n]) => (
          <div class="tile"><span class="name">{what}</span><span class="value num">{short(n)}</span></div>
        ))}
      </section>
      {it.last_error && <section aria-labelledby="error"><h2 id="error">Last error</h2><p class="problem">{it.last_error.text} <span class="note">{age(it.last_error.ago_ms)} ago</span></p></section>}
      <Wires name={name} />
      {facet && (
        <section aria-labelledby="facet">
          <h2 id="facet">{facet.kind.replace('_', ' ')}</h2>
          {facet.kind === 'saga' ? <Sagas facet={facet} /> : facet.kind === 'machine' ? <Machines facet={facet} /> : facet.kind === 'dead_letters' ? <DeadLetterBox facet={facet} /> : <Values facet={facet} />}
        </section>
      )}
    </Page>
  )
}

function Chain({ name, waits }: { name: string; waits: boolean }) {
  const { data, error } = usePoll<Why>(waits ? 'why/' + encode(name) : null, 1500)
  if (!waits) return null
  return (
    <section aria-labelledby="why">
      <h2 id="why">Why it waits</h2>
      <Problem text={error} />
      {!!data?.chain.length && <p class="way">{data.chain.map((step, i) => <>{i > 0 && ' → '}{processOf(step) ? <ProcessLink name={step} /> : step}</>)}</p>}
      {!!data?.words.length && <p class="words">{data.words.join('\n')}</p>}
    </section>
  )
}

function Wires({ name }: { name: string }) {
  const sides = useComputed(() => {
    const all = graph.value?.channels ?? []
    return [all.filter(it => it.to === name), all.filter(it => it.from.includes(name))]
  })
  return (
    <div class="two">
      {(['Receives from', 'Sends to'] as const).map((title, side) => (
        <section aria-labelledby={'wires' + side}>
          <h2 id={'wires' + side}>{title}</h2>
          {sides.value[side].length === 0 ? <p class="note">nothing</p> : (
            <table class="plain">
              <thead><tr><th scope="col">Channel</th><th scope="col">{side ? 'To' : 'From'}</th><th scope="col" class="num">Rate</th><th scope="col">Depth</th></tr></thead>
              <tbody>{sides.value[side].map(it => <Wire name={it.name} others={side ? (it.to ? [it.to] : []) : it.from} />)}</tbody>
            </table>
          )}
        </section>
      ))}
    </div>
  )
}
function Wire({ name, others }: { name: string; others: string[] }) {
  const row = channelOf(name)
  return (
    <tr>
      <td><ChannelLink name={name} /></td>
      <td>{others.slice(0, 4).map((it, i) => <>{i > 0 && ', '}<ProcessLink name={it} /></>)}{others.length > 4 && ` and ${others.length - 4} more`}</td>
      <td class="num">{row && <Rates row={row} />}</td>
      <td>{row && <Depth row={row} />}</td>
    </tr>
  )
}
