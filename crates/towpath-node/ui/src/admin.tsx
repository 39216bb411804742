// Errors, and the file that runs.
import { useSignal } from '@preact/signals'
import { ask, type Config, type Failure, type Reload } from './api'
import { age, Empty, Order, Page, plural, Problem, ProcessLink, Search, usePoll } from './parts'
import { about } from './store'

export function Errors() {
  const { data, error } = usePoll<Failure[]>('errors?limit=500', 2000)
  const words = useSignal('')
  const fits = (data ?? []).filter(it => !words.value || (it.process + it.text + it.kind).includes(words.value))
  return (
    <Page title="Errors" note="Messages that were refused, and processes that failed and were started again."
      tools={<Search label="Process or text" value={words.value} onInput={text => (words.value = text)} />}>
      <Problem text={error} />
      {data && !data.length && <Empty title="No errors.">Nothing was refused and nothing has failed.</Empty>}
      {fits.length > 0 && (
        <div class="scroll tall" tabIndex={0} role="region" aria-label="Errors">
          <table>
            <thead><tr><th scope="col">Process</th><th scope="col">What</th><th scope="col">Text</th><th scope="col" class="num">Ago</th></tr></thead>
            <tbody>{fits.map(it => <tr><td><ProcessLink name={it.process} /></td><td>{it.kind}</td><td>{it.text}</td><td class="num">{age(it.ago_ms)}</td></tr>)}</tbody>
          </table>
        </div>
      )}
    </Page>
  )
}

export function ConfigPage() {
  const { data, error, again } = usePoll<Config>('config', 3000)
  const plan = useSignal<Reload | null>(null)
  const reload = (only: boolean) => async () => {
    const answer = await ask<Reload>('reload', { plan: only })
    plan.value = answer
    again()
    if (answer.rolled_back) throw new Error('Rolled back: ' + answer.rolled_back)
    return only ? '' : answer.done ? 'Reloaded.' : 'Nothing was changed.'
  }
  return (
    <Page title="Config" note={<>The network that runs, generation <span class="num">{about.value?.generation}</span>, from <code>{data?.path ?? about.value?.file}</code></>}
      tools={<><Order label="Plan reload" run={reload(true)} /><Order label="Reload" kind="main" disabled={!data?.on_disk_differs && !plan.value?.changes.length} run={reload(false)} /></>}>
      <Problem text={error} />
      {data && (data.on_disk_differs
        ? <p class="warn">The file on disk is not what runs. Plan the reload to see what would change.</p>
        : <p class="calm">The file on disk is what runs.</p>)}
      {plan.value && (
        <section aria-labelledby="plan">
          <h2 id="plan">{plan.value.done ? 'What changed' : 'What would change'}</h2>
          {plan.value.changes.length === 0 ? <p>Nothing.</p> : (
            <table class="plain">
              <thead><tr><th scope="col">Change</th><th scope="col">What</th><th scope="col">Name</th><th scope="col">In words</th></tr></thead>
              <tbody>{plan.value.changes.map(it => <tr><td>{it.change}</td><td>{it.what}</td><td>{it.name}</td><td>{it.words}</td></tr>)}</tbody>
            </table>
          )}
          <p class="note">{plural(plan.value.changes.length, 'change')}. What waits in channels that stay is kept.</p>
        </section>
      )}
      {data && (
        <div class="scroll code" tabIndex={0} role="region" aria-label="The network file">
          <ol>{data.text.replace(/\n$/, '').split('\n').map(line => <li><code>{line || ' '}</code></li>)}</ol>
        </div>
      )}
    </Page>
  )
}
