// The control API as the dashboard uses it: its types, the token, questions and orders.

export type ProcessState =
  | 'running' | 'waiting' | 'blocked' | 'paused' | 'restarting' | 'ended' | 'failed'
export type Grade = 'proven' | 'likely' | 'suspect'
export type Wait = { what: string; on: string | null; at: string | null; for_ms: number }
export type Process = {
  name: string
  component: string
  /** Where the file declares it, as file:line:column. */
  declared?: string
  state: ProcessState
  stuck: Grade | null
  waits: Wait[]
  starts: number
  received: number
  sent: number
  refused: number
  last_error: { text: string; ago_ms: number } | null
  facet: string | null
}
export type Channel = {
  name: string
  type: string | null
  capacity: number | null
  length: number
  senders: number
  receivers: number
  waiting_send: number
  waiting_recv: number
  sent: number
  received: number
  dropped: number
  unchanged_ms: number
}
export type Stuck = { grade: Grade; cycle: boolean; members: string[]; words: string }
export type State = {
  network: string
  file: string
  generation: number
  status: string
  uptime_ms: number
  read_only: boolean
  processes: Process[]
  channels: Channel[]
  stuck: Stuck[]
}
/** length, sent, received, waiting_send, waiting_recv, dropped, unchanged_ms */
export type ChannelDelta = [number, number, number, number, number, number, number]
export type Change = {
  uptime_ms: number
  status?: string
  processes?: Record<string, Process>
  channels?: Record<string, ChannelDelta>
  stuck?: Stuck[]
}
export type Point = [number, number]
export type GraphProcess = {
  name: string; component: string; about: string; source: boolean
  x: number; y: number; w: number; h: number
}
export type GraphChannel = {
  name: string
  type: string | null
  capacity: number | null
  full: string
  from: string[]
  to: string | null
  label?: { x: number; y: number; anchor: string }
  edges: { from: string; to: string; points: Point[] }[]
}
export type Graph = {
  network: string; width: number; height: number
  processes: GraphProcess[]; channels: GraphChannel[]
}
export type Why = { process: string; grade: Grade | null; words: string[]; chain: string[] }
export type Verb = { name: string; about: string }
export type Facet = { process: string; kind: string; verbs: Verb[] }
export type Span = {
  id: string; parent: string | null; links: { trace: string; span: string }[]; name: string
  process: string | null; channel: string | null
  start_us: number; end_us: number; status: string | null
  /** Why it failed. */
  why?: string
}
export type Trace = { trace: string; spans: Span[] }
export type Failure = { process: string; text: string; ago_ms: number; kind: string }
export type Letter = {
  id: string | number; cause: string; from: string | null; attempts: number; at: unknown; message?: unknown
}
export type DeadLetters = {
  total: number
  groups: { cause: string; count: number; first: unknown; last: unknown }[]
  letters: Letter[]
}
export type Saga = {
  key: string; state: string; step: string | null; attempts: number
  next_in_ms: number | null; why: string | null
  history: { step: string; what: string; at: unknown }[]
}
export type Sagas = { counts: Record<string, number>; sagas: Saga[] }
export type Machine = {
  table: string
  states: { name: string; count: number; final: boolean }[]
  instances: { key: string; state: string; version: number }[]
  mermaid?: string
}
export type Config = { path: string; text: string; on_disk_differs: boolean }
export type Reload = {
  changes: { what: string; name: string; change: string; words: string }[]
  done: boolean
  rolled_back: string | null
}

const KEY = 'towpath-token'

/** Takes the token out of the address, so that it is in no bookmark and on no screenshot. */
export function takeToken() {
  const found = /^#token=([^&]*)/.exec(location.hash)
  if (!found) return
  sessionStorage.setItem(KEY, decodeURIComponent(found[1]))
  history.replaceState(null, '', location.pathname + location.search + '#/')
}
export const setToken = (token: string) => sessionStorage.setItem(KEY, token)
export const token = () => sessionStorage.getItem(KEY)

/** What the node said when it said no. */
export class Refused extends Error {
  constructor(readonly status: number, message: string) {
    super(message)
  }
}

export const BASE = '/api/v1/'
export const encode = encodeURIComponent

/** Asks, or orders when there is a body. */
export async function ask<T>(path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = {}
  const known = token()
  if (known) headers.Authorization = 'Bearer ' + known
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  const answer = await fetch(BASE + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
  }).catch(() => {
    throw new Refused(0, 'the node does not answer; is it running?')
  })
  const text = await answer.text()
  let json: any = null
  try {
    json = JSON.parse(text)
  } catch {
    /* an error page of somebody between us and the node, or an empty answer */
  }
  if (!answer.ok) {
    throw new Refused(answer.status, json?.error ?? `${answer.status} ${answer.statusText}`)
  }
  return json as T
}

/** A stream of events; the browser cannot send a header with it. */
export function listen(path: string) {
  const known = token()
  const mark = path.includes('?') ? '&' : '?'
  return new EventSource(BASE + path + (known ? `${mark}token=${encode(known)}` : ''))
}

export const told = (error: unknown) => (error instanceof Error ? error.message : String(error))
