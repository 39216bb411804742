// What patterns show of themselves: sagas, dead letters, machines, and whatever else a component shows.
import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { ask, encode, told, type DeadLetters, type Facet, type Letter, type Machine, type Saga, type Sagas as AllSagas } from './api'
import { age, Choice, Empty, Order, Page, plural, Problem, ProcessLink, Search, short, usePoll, when, whole } from './parts'
import { facets } from './store'

/** Rows of a facet that are asked for; the node counts the rest. */
const LIMIT = 200

/** A page for one kind of facet: a choice if several processes have it, and a word on how to get one if none has. */
function Kind({ title, kind, note, none, show }: {
  title: string; kind: string; note: string; none: ComponentChildren; show: (facet: Facet) => ComponentChildren
}) {
  const chosen = useSignal('')
  const all = facets.value.filter(it => it.kind === kind)
  const facet = all.find(it => it.process === chosen.value) ?? all[0]
  return (
    <Page title={title} note={note} tools={all.length > 1 && <Choice label="Process" value={facet.process} of={all.map(it => it.process)} onChange={it => (chosen.value = it)} />}>
      {facet ? <div key={facet.process}>{show(facet)}</div> : <Empty title="Nothing to see in this network.">{none}</Empty>}
    </Page>
  )
}

export const SagasPage = () => (
  <Kind title="Sagas" kind="saga" note="Work in several steps that ends whole or is taken back."
    none={<>A process with <code>uses: saga</code> fills this page.</>} show={it => <Sagas facet={it} />} />
)
export const DeadLettersPage = () => (
  <Kind title="Dead letters" kind="dead_letters" note="Messages that could not be handled, kept until somebody decides."
    none={<>A process with <code>uses: dead_letters</code> fills this page; send it what others refuse with <code>on_error</code>.</>} show={it => <DeadLetterBox facet={it} />} />
)
export const MachinesPage = () => (
  <Kind title="Machines" kind="machine" note="How many instances are in each state."
    none={<>A process with <code>uses: machine</code> fills this page.</>} show={it => <Machines facet={it} />} />
)

const order = (facet: Facet, verb: string, body: unknown) => ask<any>(`facets/${encode(facet.process)}/${verb}`, body)
const can = (facet: Facet, verb: string) => facet.verbs.some(it => it.name === verb)

export function Sagas({ facet }: { facet: Facet }) {
  const state = useSignal('')
  const open = useSignal('')
  const { data, error, again } = usePoll<AllSagas>(`facets/${encode(facet.process)}?limit=${LIMIT}${state.value ? '&state=' + encode(state.value) : ''}`, 1500)
  return (
    <>
      <Problem text={error} />
      <ul class="states">
        <li><button type="button" aria-pressed={!state.value} onClick={() => (state.value = '')}>all</button></li>
        {Object.entries(data?.counts ?? {}).map(([name, count]) => (
          <li><button type="button" aria-pressed={state.value === name} onClick={() => (state.value = state.value === name ? '' : name)}>{name} <span class="num">{short(count)}</span></button></li>
        ))}
      </ul>
      {data && !data.sagas.length && <Empty title="No saga here." />}
      {!!data?.sagas.length && (
        <div class="scroll tall" tabIndex={0} role="region" aria-label="Sagas">
          <table>
            <thead><tr><th scope="col">Saga</th><th scope="col">State</th><th scope="col">Step</th><th scope="col" class="num">Attempts</th><th scope="col">Why it is not further</th><th scope="col"><span class="sr">Orders</span></th></tr></thead>
            <tbody>{data.sagas.map(it => <SagaRow key={it.key} it={it} facet={facet} open={open.value === it.key} toggle={() => (open.value = open.value === it.key ? '' : it.key)} again={again} />)}</tbody>
          </table>
        </div>
      )}
    </>
  )
}

function SagaRow({ it, facet, open, toggle, again }: { it: Saga; facet: Facet; open: boolean; toggle: () => void; again: () => void }) {
  const run = (verb: string, done: string) => async () => {
    await order(facet, verb, { key: it.key })
    again()
    return done
  }
  const ended = /done|compensated|cancelled/i.test(it.state)
  return (
    <>
      <tr>
        <td><button type="button" class="link" aria-expanded={open} onClick={toggle}>{it.key}</button></td>
        <td>{it.state}</td>
        <td>{it.step}</td>
        <td class="num">{it.attempts}</td>
        <td>{it.why}{it.next_in_ms != null && <p class="note">tries again in {age(it.next_in_ms)}</p>}</td>
        <td class="orders">
          {can(facet, 'resume') && !ended && <Order label="Run now" run={run('resume', 'Under way.')} />}
          {can(facet, 'cancel') && !ended && <Order label="Cancel" run={run('cancel', 'Being taken back.')} />}
        </td>
      </tr>
      {open && (
        <tr class="more"><td colSpan={6}>
          {it.history.length ? <ol class="chain">{it.history.map(step => <li><strong>{step.step}</strong> {step.what} <span class="note">{when(step.at)}</span></li>)}</ol> : <p class="note">Nothing has happened yet.</p>}
        </td></tr>
      )}
    </>
  )
}

export function DeadLetterBox({ facet }: { facet: Facet }) {
  const { data, error, again } = usePoll<DeadLetters>(`facets/${encode(facet.process)}?limit=${LIMIT}`)
  const cause = useSignal('')
  const words = useSignal('')
  const picked = useSignal<(string | number)[]>([])
  const speed = useSignal('')
  // A cause whose last letter has gone is no longer chosen.
  const group = data?.groups.some(it => it.cause === cause.value) ? cause.value : ''
  const letters = (data?.letters ?? []).filter(it => (!group || it.cause === group) && (!words.value || JSON.stringify(it).includes(words.value)))
  const which = () => (picked.value.length ? { ids: picked.value } : group ? { group } : { all: true })
  const replay = (dry_run: boolean) => async () => {
    const per_second = Number(speed.value)
    const answer = await order(facet, 'replay', { ...which(), dry_run, ...(per_second > 0 ? { per_second } : {}) })
    if (!dry_run) picked.value = []
    again()
    return dry_run ? `Would replay ${plural(answer.would ?? 0, 'letter')}.` : `Replayed ${plural(answer.replayed ?? 0, 'letter')}.`
  }
  const target = picked.value.length ? plural(picked.value.length, 'picked letter') : group ? `all of “${group}”` : 'all letters'
  if (!data) return <Problem text={error} />
  return (
    <>
      <Problem text={error} />
      {data.total === 0 ? <Empty title="No dead letters.">Whatever was sent could be handled.</Empty> : (
        <>
          <h2>{plural(data.total, 'letter')}, by cause</h2>
          <table class="plain">
            <thead><tr><th scope="col">Cause</th><th scope="col" class="num">Letters</th><th scope="col">First</th><th scope="col">Last</th></tr></thead>
            <tbody>{data.groups.map(it => (
              <tr>
                <td><button type="button" class="link" aria-pressed={cause.value === it.cause} onClick={() => (cause.value = cause.value === it.cause ? '' : it.cause)}>{it.cause}</button></td>
                <td class="num">{whole(it.count)}</td><td>{when(it.first)}</td><td>{when(it.last)}</td>
              </tr>
            ))}</tbody>
          </table>
          <div class="row" role="group" aria-label={'Orders for ' + target}>
            <span>For <strong>{target}</strong>:</span>
            <label class="choice">At most <input type="number" min="1" class="few" placeholder="any" value={speed.value} onInput={event => (speed.value = event.currentTarget.value)} /> a second</label>
            {can(facet, 'replay') && <Order label="Dry run" run={replay(true)} />}
            {can(facet, 'replay') && <Order label="Replay" kind="main" run={replay(false)} />}
            {can(facet, 'discard') && <Order label="Discard picked" disabled={!picked.value.length} run={async () => {
              const n = picked.value.length
              await order(facet, 'discard', { ids: picked.value })
              picked.value = []
              again()
              return `Discarded ${plural(n, 'letter')}.`
            }} />}
            <Search label="Look in letters" value={words.value} onInput={text => (words.value = text)} />
          </div>
          <div class="scroll tall" tabIndex={0} role="region" aria-label="Letters">
            <table>
              <thead><tr><th scope="col" class="pick"><span class="sr">Picked</span></th><th scope="col">Letter</th><th scope="col">Cause</th><th scope="col">From</th><th scope="col" class="num">Attempts</th><th scope="col">At</th></tr></thead>
              <tbody>{letters.map(it => <LetterRow key={it.id} it={it} picked={picked.value.includes(it.id)} pick={on => (picked.value = on ? [...picked.value, it.id] : picked.value.filter(id => id !== it.id))} />)}</tbody>
            </table>
          </div>
          {data.letters.length < data.total && <p class="note">The first {data.letters.length} of {whole(data.total)} are shown; orders for all mean all.</p>}
        </>
      )}
    </>
  )
}
function LetterRow({ it, picked, pick }: { it: Letter; picked: boolean; pick: (on: boolean) => void }) {
  return (
    <tr>
      <td><input type="checkbox" aria-label={'Letter ' + it.id} checked={picked} onChange={event => pick(event.currentTarget.checked)} /></td>
      <td>{it.message === undefined ? <code>{it.id}</code> : <details><summary><code>{String(it.id)}</code></summary><pre>{JSON.stringify(it.message, null, 2)}</pre></details>}</td>
      <td>{it.cause}</td>
      <td>{it.from && <ProcessLink name={it.from} />}</td>
      <td class="num">{it.attempts}</td>
      <td>{when(it.at)}</td>
    </tr>
  )
}

export function Machines({ facet }: { facet: Facet }) {
  const state = useSignal('')
  const { data, error } = usePoll<Machine>(`facets/${encode(facet.process)}?limit=${LIMIT}${state.value ? '&state=' + encode(state.value) : ''}`)
  if (!data) return <Problem text={error} />
  const most = Math.max(1, ...data.states.map(it => it.count))
  return (
    <>
      <Problem text={error} />
      <p>Table <strong>{data.table}</strong> in <ProcessLink name={facet.process} /></p>
      <table class="plain counts">
        <thead><tr><th scope="col">State</th><th scope="col" class="num">Instances</th><th scope="col"><span class="sr">Share</span></th></tr></thead>
        <tbody>{data.states.map(it => (
          <tr>
            <td><button type="button" class="link" aria-pressed={state.value === it.name} onClick={() => (state.value = state.value === it.name ? '' : it.name)}>{it.name}</button>{it.final && <span class="note"> final</span>}</td>
            <td class="num">{whole(it.count)}</td>
            <td class="wide"><span class="bar" aria-hidden="true"><span style={{ width: (it.count / most) * 100 + '%' }} /></span></td>
          </tr>
        ))}</tbody>
      </table>
      {data.instances.length > 0 && (
        <>
          <h2>Instances{state.value && ' in ' + state.value}</h2>
          <div class="scroll short" tabIndex={0} role="region" aria-label="Instances">
            <table><thead><tr><th scope="col">Key</th><th scope="col">State</th><th scope="col" class="num">Version</th></tr></thead>
              <tbody>{data.instances.filter(it => !state.value || it.state === state.value).map(it => <tr><td>{it.key}</td><td>{it.state}</td><td class="num">{it.version}</td></tr>)}</tbody></table>
          </div>
        </>
      )}
      {data.mermaid && <details><summary>The table as Mermaid</summary><pre>{data.mermaid}</pre></details>}
    </>
  )
}

/** Any other facet: its values by name, and a form for each order it takes. */
export function Values({ facet }: { facet: Facet }) {
  const { data, error, again } = usePoll<Record<string, unknown>>('facets/' + encode(facet.process))
  return (
    <>
      <Problem text={error} />
      {data && <dl class="values"><Fields of={data} /></dl>}
      {facet.verbs.map(verb => <VerbForm facet={facet} verb={verb} again={again} start={(data?.policy ?? {}) as Record<string, unknown>} />)}
    </>
  )
}
function Fields({ of, before = '' }: { of: Record<string, unknown>; before?: string }) {
  return (
    <>
      {Object.entries(of).map(([name, value]) => value !== null && typeof value === 'object' && !Array.isArray(value)
        ? <Fields of={value as Record<string, unknown>} before={before + name + ' '} />
        : <div><dt>{(before + name).replaceAll('_', ' ')}</dt><dd class="num">{typeof value === 'number' ? whole(value) : typeof value === 'string' ? value : JSON.stringify(value)}</dd></div>)}
    </>
  )
}
function VerbForm({ facet, verb, start, again }: { facet: Facet; verb: { name: string; about: string }; start: Record<string, unknown>; again: () => void }) {
  const text = useSignal<string | null>(null)
  const shown = text.value ?? JSON.stringify(start)
  return (
    <div class="row" role="group" aria-label={verb.name}>
      <span><strong>{verb.name}</strong> <span class="note">{verb.about}</span></span>
      <input type="text" class="grow" spellcheck={false} aria-label={`What ${verb.name} is given, as JSON`} value={shown} onInput={event => (text.value = event.currentTarget.value)} />
      <Order label="Do it" run={async () => {
        let args
        try {
          args = JSON.parse(shown)
        } catch (error) {
          throw new Error('This is not JSON: ' + told(error))
        }
        const answer = await order(facet, verb.name, args)
        text.value = null
        again()
        return answer == null ? 'Done.' : JSON.stringify(answer)
      }} />
    </div>
  )
}
