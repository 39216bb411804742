// Small parts that several pages use, and how numbers are written.
import { useComputed, useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { ask, encode, told, type Process, type Wait } from './api'
import { about, link, type ChannelRow, type ProcessRow, uptime } from './store'

export const whole = (n: number) => n.toLocaleString('en-US')
export function short(n: number) {
  if (n < 10_000) return whole(n)
  return new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 }).format(n)
}
export function rate(n: number) {
  return n === 0 ? '0/s' : n < 10 ? n.toFixed(1) + '/s' : short(Math.round(n)) + '/s'
}
export function age(ms: number) {
  if (ms < 1000) return Math.max(0, Math.round(ms)) + ' ms'
  const s = ms / 1000
  if (s < 60) return s.toFixed(s < 10 ? 1 : 0) + ' s'
  const m = Math.floor(s / 60)
  if (m < 60) return `${m} min ${Math.floor(s % 60)} s`
  const h = Math.floor(m / 60)
  return h < 48 ? `${h} h ${m % 60} min` : `${Math.floor(h / 24)} d ${h % 24} h`
}
export const plural = (n: number, one: string, many = one + 's') => `${whole(n)} ${n === 1 ? one : many}`
/** A time as it came: milliseconds since 1970 or since the start, or text, which may be a date. */
export function when(at: unknown) {
  if (at == null) return ''
  const date = typeof at === 'number' ? (at > 1e11 ? new Date(at) : null) : /^\d{4}-\d\d-\d\dT/.test(String(at)) ? new Date(String(at)) : null
  if (date && !isNaN(+date)) {
    const today = date.toDateString() === new Date().toDateString()
    return (today ? '' : date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' }) + ' ') + date.toLocaleTimeString('en-GB')
  }
  return typeof at === 'number' ? age(at) : String(at)
}

export type Shown = 'stuck' | 'busy' | 'idle' | 'blocked' | 'paused' | 'restarting' | 'ended' | 'failed'
const WORDS: Record<string, Shown> = { running: 'busy', waiting: 'idle' }
export const shown = (it: Process): Shown => (it.stuck ? 'stuck' : (WORDS[it.state] ?? (it.state as Shown)))
/** Each state has a shape of its own; its colour only repeats it. In a box of 12. */
export const SHAPES: Record<Shown, string> = {
  busy: 'M6 1a5 5 0 1 0 0 10a5 5 0 1 0 0-10z',
  idle: 'M6 1a5 5 0 1 0 0 10a5 5 0 1 0 0-10zM6 3a3 3 0 1 1 0 6a3 3 0 1 1 0-6z',
  blocked: 'M1 1h10v10h-10z',
  paused: 'M2 1h3v10h-3zM7 1h3v10h-3z',
  stuck: 'M4 0h4l4 4v4l-4 4h-4l-4-4v-4zM5 2.5v4.5h2v-4.5zM5 8v2h2v-2z',
  restarting: 'M6 0l6 11h-12z',
  ended: 'M1 5h10v2h-10z',
  failed: 'M2.5 1l3.5 3.5 3.5-3.5 1.5 1.5-3.5 3.5 3.5 3.5-1.5 1.5-3.5-3.5-3.5 3.5-1.5-1.5 3.5-3.5-3.5-3.5z',
}
export const Shape = ({ of }: { of: Shown }) => (
  <svg class="shape" width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">
    <path fill-rule="evenodd" d={SHAPES[of]} />
  </svg>
)
export const Badge = ({ of, more }: { of: Shown; more?: string }) => (
  <span class={'badge is-' + of}>
    <Shape of={of} /> {of}
    {more ? ', ' + more : ''}
  </span>
)

export const href = (...parts: string[]) => '#/' + parts.map(encode).join('/')
export const ProcessLink = ({ name }: { name: string }) => <a href={href('process', name)}>{name}</a>
export const ChannelLink = ({ name }: { name: string }) => <a href={href('channel', name)}>{name}</a>

export function waiting({ what, on }: Wait) {
  const words: Record<string, string> = {
    recv: 'to receive from', send: 'to send to', reserve: 'for room in', lock: 'for the lock',
    timer: 'for a timer', outside: 'for the world outside',
  }
  return { words: words[what] ?? 'for ' + what, on }
}
export const since = (row: ProcessRow, wait: Wait) => wait.for_ms + Math.max(0, uptime() - row.at)

/** How full a channel is, from 0 to 1; a rendezvous is full when somebody waits to send. */
export function depth(it: { capacity: number | null; length: number; waiting_send: number }) {
  if (!it.capacity) return it.waiting_send > 0 ? 1 : 0
  return Math.min(1, it.length / it.capacity)
}
export function Depth({ row }: { row: ChannelRow }) {
  const it = row.now.value
  const full = depth(it)
  return (
    <span class={'depth' + (full >= 1 ? ' full' : full > 0.75 ? ' high' : '')}>
      <span class="bar" aria-hidden="true">
        <span style={{ width: Math.round(full * 100) + '%' }} />
      </span>
      <span class="num">{fill(it)}</span>
    </span>
  )
}
export function fill(it: { capacity: number | null; length: number; waiting_send: number }) {
  if (it.capacity === 0) return it.waiting_send ? 'rendezvous, held up' : 'rendezvous'
  if (it.capacity == null) return whole(it.length)
  return `${whole(it.length)}/${whole(it.capacity)}${it.length >= it.capacity ? ' full' : ''}`
}
export function Rates({ row }: { row: ChannelRow }) {
  return <>{rate(row.rates.value[1])}</>
}

export function Page({ title, note, children, tools }: {
  title: ComponentChildren; note?: ComponentChildren; children?: ComponentChildren; tools?: ComponentChildren
}) {
  const heading = useRef<HTMLHeadingElement>(null)
  return (
    <>
      <div class="head">
        <div>
          <h1 tabIndex={-1} ref={heading}>{title}</h1>
          {note && <p class="note">{note}</p>}
        </div>
        {tools && <div class="tools">{tools}</div>}
      </div>
      {children}
    </>
  )
}
export const Empty = ({ title, children }: { title: string; children?: ComponentChildren }) => (
  <div class="empty">
    <p class="strong">{title}</p>
    {children && <p>{children}</p>}
  </div>
)
export const Problem = ({ text }: { text: string }) => (text ? <p class="problem" role="alert">{text}</p> : null)

/** Asks now and every so often while the page is seen. */
export function usePoll<T>(path: string | null, every = 2000) {
  const [answer, set] = useState<{ path: string; data?: T; error: string }>({ path: '', error: '' })
  const again = useRef(() => {})
  const live = link.value === 'live'
  useEffect(() => {
    if (!path || !live) return
    let ended = false
    let timer: ReturnType<typeof setTimeout>
    const look = async () => {
      clearTimeout(timer)
      if (!document.hidden) {
        try {
          const data = await ask<T>(path)
          if (!ended) set({ path, data, error: '' })
        } catch (error) {
          if (!ended) set(last => ({ path, data: last.path === path ? last.data : undefined, error: told(error) }))
        }
      }
      if (!ended) timer = setTimeout(look, every)
    }
    again.current = look
    void look()
    return () => {
      ended = true
      clearTimeout(timer)
    }
  }, [path, every, live])
  const fresh = answer.path === path
  return { data: fresh ? answer.data : undefined, error: fresh ? answer.error : '', again: () => again.current() }
}

/** A button that gives an order, and says beside itself what came of it. */
export function Order({ label, run, kind, disabled, title }: {
  label: string; run: () => Promise<string | void>; kind?: string; disabled?: boolean; title?: string
}) {
  const busy = useSignal(false)
  const note = useSignal('')
  const bad = useSignal(false)
  const forbidden = about.value?.read_only
  const act = async () => {
    busy.value = true
    bad.value = false
    try {
      note.value = (await run()) ?? ''
    } catch (error) {
      bad.value = true
      note.value = told(error)
    }
    busy.value = false
  }
  return (
    <span class="order">
      <button type="button" class={kind} disabled={disabled || busy.value || forbidden}
        title={forbidden ? 'this token may only look' : title} onClick={act}>{label}</button>
      <span role="status" class={bad.value ? 'bad' : 'note'}>{note.value}</span>
    </span>
  )
}

export type Column<R> = { head: string; cell: (row: R) => ComponentChildren; num?: boolean; width?: string }
const ROW = 38

/** A table of any length: only rows that are seen are there, with a little beyond. */
export function Table<R extends { index: number }>({ label, rows, columns }: {
  label: string; rows: R[]; columns: Column<R>[]
}) {
  const box = useRef<HTMLDivElement>(null)
  const top = useSignal(0)
  const high = useSignal(600)
  useLayoutEffect(() => {
    const it = box.current!
    const look = () => {
      top.value = Math.floor(it.scrollTop / ROW)
      high.value = it.clientHeight
    }
    look()
    it.addEventListener('scroll', look, { passive: true })
    const size = new ResizeObserver(look)
    size.observe(it)
    return () => {
      it.removeEventListener('scroll', look)
      size.disconnect()
    }
  }, [])
  const range = useComputed(() => [Math.max(0, top.value - 8), top.value + Math.ceil(high.value / ROW) + 8])
  const [first, last] = range.value
  const end = Math.min(rows.length, last)
  const start = Math.min(first, end)
  return (
    <div class="scroll" ref={box} tabIndex={0} role="region" aria-label={label} style={{ height: `min(100vh - 190px, ${rows.length * ROW + 42}px)` }}>
      <table aria-rowcount={rows.length + 1}>
        <thead>
          <tr>{columns.map(it => <th scope="col" class={it.num ? 'num' : ''} style={{ width: it.width ?? '' }}>{it.head}</th>)}</tr>
        </thead>
        <tbody>
          {start > 0 && <tr class="gap" aria-hidden="true"><td colSpan={columns.length} style={{ height: start * ROW + 'px' }} /></tr>}
          {rows.slice(start, end).map((row, i) => <Row key={row.index} row={row} place={start + i + 2} columns={columns} />)}
          {end < rows.length && <tr class="gap" aria-hidden="true"><td colSpan={columns.length} style={{ height: (rows.length - end) * ROW + 'px' }} /></tr>}
        </tbody>
      </table>
    </div>
  )
}
/** Reads its row's signals itself, so a change draws one row. */
function Row<R>({ row, place, columns }: { row: R; place: number; columns: Column<R>[] }) {
  return <tr aria-rowindex={place}>{columns.map(it => <td class={it.num ? 'num' : ''}>{it.cell(row)}</td>)}</tr>
}

/** Words to look for and an order, above a table. */
export function Search({ label, value, onInput }: { label: string; value: string; onInput: (text: string) => void }) {
  return (
    <input type="search" placeholder={label} aria-label={label} value={value}
      onInput={event => onInput(event.currentTarget.value)} />
  )
}
export function Choice<T extends string>({ label, value, of, onChange }: {
  label: string; value: T; of: readonly T[]; onChange: (value: T) => void
}) {
  return (
    <label class="choice">
      {label}
      <select value={value} onChange={event => onChange(event.currentTarget.value as T)}>
        {of.map(it => <option value={it}>{it}</option>)}
      </select>
    </label>
  )
}
