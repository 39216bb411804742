// What is known of the running network: one signal for each process and each channel, so that a change redraws what shows it and
// nothing else.
//
// What always holds:
// - Rows keep their identity while the generation is the same; a table or the picture may hold on to them.
// - One event from the node is one batch.
// - A channel that the node does not mention has not changed. Its rates go to 0 by the clock, in `beat`.
import { batch, computed, signal, type Signal } from '@preact/signals'
import { ask, listen, Refused, told, type Change, type Channel, type Facet, type Graph, type Process, type State, type Stuck } from './api'

/** Points kept of each channel: five minutes of steady change at four a second would be 1,200; half a minute is never less than this. */
const HISTORY = 300

export class ChannelRow {
  readonly now: Signal<Channel>
  readonly rates = signal<[number, number]>([0, 0])
  /** seconds of uptime, length, sent, received: a ring of HISTORY each. */
  history?: Float64Array
  count = 0
  private before?: [number, number, number]
  touched = 0
  constructor(readonly index: number, first: Channel, at: number) {
    this.now = signal(first)
    this.keep(first, at)
    this.before = [at, first.sent, first.received]
  }
  set(next: Channel, at: number) {
    this.now.value = next
    this.keep(next, at)
    this.touched = at
  }
  private keep(it: Channel, at: number) {
    this.history ??= new Float64Array(HISTORY * 4)
    this.history.set([at / 1000, it.length, it.sent, it.received], (this.count++ % HISTORY) * 4)
  }
  /** Messages a second since the last time, softened. */
  measure(at: number) {
    const { sent, received } = this.now.peek()
    const [then, s, r] = this.before ?? [at, sent, received]
    const seconds = (at - then) / 1000
    if (seconds <= 0) return
    this.before = [at, sent, received]
    const old = this.rates.peek()
    const soft = (next: number, last: number) => {
      const mixed = last * 0.4 + next * 0.6
      return mixed < 0.05 ? 0 : mixed
    }
    const next: [number, number] = [soft((sent - s) / seconds, old[0]), soft((received - r) / seconds, old[1])]
    if (next[0] !== old[0] || next[1] !== old[1]) this.rates.value = next
  }
  /** Columns for a chart, oldest first. */
  columns(): [number[], number[], number[], number[]] {
    const all: [number[], number[], number[], number[]] = [[], [], [], []]
    const kept = Math.min(this.count, HISTORY)
    for (let i = this.count - kept; i < this.count; i++) {
      for (let k = 0; k < 4; k++) all[k].push(this.history![(i % HISTORY) * 4 + k])
    }
    return all
  }
}

export class ProcessRow {
  readonly now: Signal<Process>
  /** Uptime when this was told: ages grow from there. */
  at: number
  constructor(readonly index: number, first: Process, at: number) {
    this.now = signal(first)
    this.at = at
  }
}

export const link = signal<'connecting' | 'live' | 'lost' | 'refused'>('connecting')
export const linkNote = signal('')
export const about = signal<Omit<State, 'processes' | 'channels' | 'stuck' | 'uptime_ms'> | null>(null)
export const processes = signal<ProcessRow[]>([])
export const channels = signal<ChannelRow[]>([])
export const stuck = signal<Stuck[]>([])
export const facets = signal<Facet[]>([])
export const graph = signal<Graph | null>(null)
export const graphNote = signal('')
/** The node's uptime in milliseconds: what it said last, and what has passed here since. */
let said = 0
let heard = 0
export const uptime = () => said + (link.peek() === 'live' ? performance.now() - heard : 0)
/** Whole seconds of it, for what is told in seconds. */
export const seconds = signal(0)
/** Goes up about once a second: what sums or sorts everything looks at this and not at every row. */
export const beat = signal(0)
/** Milliseconds that the last updates took here: told in the page's foot and read by the tests. */
export const took: number[] = []

/** Everybody who is stuck: first those who hold each other, then those who wait behind them. */
export const members = computed(() => {
  const names = new Set(stuck.value.flatMap(it => it.members))
  for (const row of processes.value) if (row.now.value.stuck) names.add(row.now.value.name)
  return [...names]
})

const byName = { process: new Map<string, ProcessRow>(), channel: new Map<string, ChannelRow>() }
export const processOf = (name: string) => (processes.value, byName.process.get(name))
export const channelOf = (name: string) => (channels.value, byName.channel.get(name))

function clock(at: number) {
  said = at
  heard = performance.now()
  seconds.value = Math.floor(at / 1000)
}

function whole(state: State) {
  const { processes: ps, channels: cs, stuck: st, uptime_ms, ...rest } = state
  const before = about.peek()
  clock(uptime_ms)
  about.value = rest
  stuck.value = st
  const same =
    before?.generation === rest.generation &&
    ps.length === processes.peek().length && ps.every((it, i) => processes.peek()[i].now.peek().name === it.name) &&
    cs.length === channels.peek().length && cs.every((it, i) => channels.peek()[i].now.peek().name === it.name)
  if (same) {
    ps.forEach((it, i) => setProcess(processes.peek()[i], it))
    cs.forEach((it, i) => channels.peek()[i].set(it, uptime_ms))
  } else {
    byName.process = new Map(ps.map((it, i) => [it.name, new ProcessRow(i, it, uptime_ms)]))
    byName.channel = new Map(cs.map((it, i) => [it.name, new ChannelRow(i, it, uptime_ms)]))
    processes.value = [...byName.process.values()]
    channels.value = [...byName.channel.values()]
    void layout()
  }
  beat.value++
}

function setProcess(row: ProcessRow, next: Process) {
  // A process shows what it has only when it is up, and again after it was started anew.
  if (next.facet !== row.now.peek().facet) shows()
  row.at = said
  row.now.value = next
}

function change(it: Change) {
  clock(it.uptime_ms)
  if (it.status && about.peek()) about.value = { ...about.peek()!, status: it.status }
  const ps = processes.peek()
  for (const index in it.processes) if (ps[+index]) setProcess(ps[+index], it.processes[index])
  const cs = channels.peek()
  for (const index in it.channels) {
    const row = cs[+index]
    if (!row) continue
    const [length, sent, received, waiting_send, waiting_recv, dropped, unchanged_ms] = it.channels[index]
    row.set({ ...row.now.peek(), length, sent, received, waiting_send, waiting_recv, dropped, unchanged_ms }, it.uptime_ms)
  }
  if (it.stuck) stuck.value = it.stuck
}

/** Runs an update as one batch and keeps how long it took, until the browser has drawn it. */
function update(work: () => void) {
  const start = performance.now()
  batch(work)
  const script = performance.now() - start
  performance.measure('towpath:update', { start, duration: script })
  took.push(script)
  if (took.length > 200) took.shift()
}

async function layout() {
  shows()
  try {
    graph.value = await ask<Graph>('graph')
    graphNote.value = ''
  } catch (error) {
    graphNote.value = told(error)
  }
}

let asking: ReturnType<typeof setTimeout> | undefined
/** Asks what processes show and take, once for all that come up together. */
function shows() {
  clearTimeout(asking)
  asking = setTimeout(async () => {
    // Without an answer the list stays; the next event of a process asks again.
    facets.value = await ask<Facet[]>('facets').catch(() => facets.peek())
  }, 100)
}

let source: EventSource | undefined
let retry = 0
let timer: ReturnType<typeof setTimeout> | undefined

/** Connects, and connects again when the node has gone, with growing pauses. */
export function connect() {
  clearTimeout(timer)
  source?.close()
  source = listen('events?every=250ms')
  source.addEventListener('state', event => {
    retry = 0
    update(() => {
      whole(JSON.parse((event as MessageEvent).data))
      link.value = 'live'
    })
  })
  source.addEventListener('change', event => update(() => change(JSON.parse((event as MessageEvent).data))))
  source.onerror = async () => {
    source?.close()
    // An event stream does not tell why it failed; a plain question does.
    const why = await ask('state').then(() => null, error => error)
    if (why instanceof Refused && (why.status === 401 || why.status === 403)) {
      link.value = 'refused'
      linkNote.value = why.message
      return
    }
    linkNote.value = why ? told(why) : 'the stream of events ended'
    if (link.peek() !== 'connecting') link.value = 'lost'
    const pause = Math.min(500 * 2 ** retry++, 10_000)
    timer = setTimeout(connect, pause)
  }
}

setInterval(() => {
  if (link.peek() !== 'live') return
  batch(() => {
    for (const row of channels.peek()) row.measure(uptime())
    seconds.value = Math.floor(uptime() / 1000)
    beat.value++
  })
}, 1000)
