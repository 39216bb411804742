// The dashboard: one page, whose address behind `#` says what is shown.
import { useSignal } from '@preact/signals'
import { render, type ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { ConfigPage, Errors } from './admin'
import { setToken, takeToken } from './api'
import { ChannelPage } from './channel'
import { DeadLettersPage, MachinesPage, SagasPage } from './facets'
import { Network } from './graph'
import { Channels, Processes } from './lists'
import { look, type Look } from './look'
import { Overview } from './overview'
import { age, Choice, href } from './parts'
import { Process } from './process'
import { about, connect, link, linkNote, members, seconds } from './store'
import './style.css'
import { Traces } from './traces'

type Show = (name: string, query: string) => ComponentChildren
/** Address, name, whether it is in the menu. */
const PAGES: [string, string, boolean, Show][] = [
  ['', 'Overview', true, () => <Overview />],
  ['network', 'Network', true, () => <Network />],
  ['processes', 'Processes', true, (_, query) => <Processes key={query} query={query} />],
  ['channels', 'Channels', true, (_, query) => <Channels key={query} query={query} />],
  ['process', 'Process', false, name => <Process key={name} name={name} />],
  ['channel', 'Channel', false, name => <ChannelPage name={name} />],
  ['traces', 'Traces', true, () => <Traces />],
  ['sagas', 'Sagas', true, () => <SagasPage />],
  ['dead-letters', 'Dead letters', true, () => <DeadLettersPage />],
  ['machines', 'Machines', true, () => <MachinesPage />],
  ['errors', 'Errors', true, () => <Errors />],
  ['config', 'Config', true, () => <ConfigPage />],
]

function route() {
  const [way, query = ''] = location.hash.replace(/^#\/?/, '').split('?')
  const [page = '', name = ''] = way.split('/').map(decodeURIComponent)
  return { page, name, query }
}

function App() {
  const [at, set] = useState(route)
  const main = useRef<HTMLElement>(null)
  useEffect(() => {
    const moved = () => {
      // A new address may carry a token: somebody pasted the node's line into an open tab.
      if (location.hash.startsWith('#token=')) {
        takeToken()
        connect()
      }
      set(route())
      scrollTo(0, 0)
      requestAnimationFrame(() => main.current?.querySelector('h1')?.focus({ preventScroll: true }))
    }
    addEventListener('hashchange', moved)
    return () => removeEventListener('hashchange', moved)
  }, [])
  const page = PAGES.find(([key]) => key === at.page) ?? PAGES[0]
  const title = at.name || page[1]
  useEffect(() => {
    document.title = `${title}, ${about.value?.network ?? 'Towpath'}`
  }, [title, about.value?.network])
  // Inside its parent's entry of the menu.
  const entry = { process: 'processes', channel: 'channels' }[page[0]] ?? page[0]
  return (
    <>
      <a class="skip" href="#main" onClick={event => {
        // The address behind `#` is ours, so the browser must not follow it.
        event.preventDefault()
        main.current?.focus()
      }}>Skip to the page</a>
      <header>
        <a class="brand" href="#/"><img src="./icon.svg" alt="" width="26" height="26" /> {about.value?.network ?? 'Towpath'}</a>
        <Status />
        <Choice<Look> label="Colours" value={look.value} of={['system', 'light', 'dark']} onChange={it => (look.value = it)} />
      </header>
      <nav aria-label="Pages">
        <ul>
          {PAGES.filter(it => it[2]).map(([key, name]) => (
            <li><a href={href(key)} aria-current={entry === key ? 'page' : undefined}>{name}{key === '' && <Alarm />}</a></li>
          ))}
        </ul>
      </nav>
      <main id="main" tabIndex={-1} ref={main}>
        <Notice />
        {link.value === 'refused' ? <Door /> : about.value ? page[3](at.name, at.query) : <h1>Asking the node…</h1>}
      </main>
    </>
  )
}

/** How many are stuck, on every page. */
const Alarm = () => {
  const count = members.value.length
  return count ? <span class="alarm">{count} stuck</span> : null
}

function Status() {
  const it = about.value
  return (
    <p class="status">
      <span class={'dot is-' + link.value}>{link.value === 'live' ? 'live' : link.value === 'lost' ? 'not connected' : link.value}</span>
      {it && <>
        <span>{it.status}</span>
        <span class="num">up {age(seconds.value * 1000)}</span>
        {it.read_only && <span>looking only</span>}
      </>}
    </p>
  )
}

function Notice() {
  return (
    <div role="status" class="notices">
      {link.value === 'lost' && <p class="warn">Not connected: {linkNote.value}. What you see is from before; trying again.</p>}
      {link.value === 'live' && about.value?.status === 'draining' && <p class="warn">The node is draining: it takes nothing more and finishes what it has begun.</p>}
      {link.value === 'connecting' && linkNote.value && <p class="warn">{linkNote.value}. Trying again.</p>}
    </div>
  )
}

function Door() {
  const text = useSignal('')
  return (
    <>
      <h1 tabIndex={-1}>This node asks for a token</h1>
      <p>Open the address that <code>towpath run</code> has printed, or paste it or its token here. {linkNote.value && <span class="note">The node said: {linkNote.value}</span>}</p>
      <form class="row" onSubmit={event => {
        event.preventDefault()
        setToken(text.value.replace(/^.*#token=/, '').trim())
        link.value = 'connecting'
        connect()
      }}>
        <input type="password" class="grow" aria-label="Address or token" autocomplete="off" value={text.value} onInput={event => (text.value = event.currentTarget.value)} />
        <button type="submit" class="main">Enter</button>
      </form>
    </>
  )
}

takeToken()
connect()
render(<App />, document.getElementById('app')!)
