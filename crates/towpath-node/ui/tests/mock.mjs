// A node that is not there: answers the control API from a script, for work on the dashboard without a network. `npm run mock`.
// Nothing that is accepted is tested against this; the tests run against the program.
import { createServer } from 'node:http'
import { readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const dist = join(here, '../dist')
const many = Number(process.env.PROCESSES ?? 0)
const graph = many ? big(many) : JSON.parse(readFileSync(join(here, '../../tests/golden/rides.json'), 'utf8'))
const kinds = { dead: 'dead_letters', pay: 'saga', life: 'machine', gate: 'limit', dispatch: 'dispatch' }

function big(n) {
  const wide = Math.ceil(Math.sqrt(n / 2))
  const at = i => ({ x: 28 + Math.floor(i / wide) * 300, y: 28 + (i % wide) * 74 })
  const processes = Array.from({ length: n }, (_, i) => ({ name: 'worker-' + i, component: 'map', about: 'changes messages', source: i < wide, ...at(i), w: 136, h: 48 }))
  const channels = Array.from({ length: 2 * n }, (_, i) => {
    const from = i % n
    const to = Math.min(n - 1, from + wide + (i < n ? 0 : 1 + (i % 3)))
    const [a, b] = [processes[from], processes[to]]
    const points = [[a.x + 136, a.y + 24], [b.x, b.y + 24]]
    return { name: 'c' + i, type: null, capacity: 64, full: 'block', from: [a.name], to: b.name, label: { x: points[0][0] + 10, y: points[0][1] - 6, anchor: 'start' }, edges: [{ from: a.name, to: b.name, points }] }
  })
  return { network: 'large', width: 300 * (Math.ceil(n / wide) + 1), height: 74 * wide + 56, processes, channels }
}

const start = Date.now()
const up = () => Date.now() - start
let generation = 1
let differs = true
const process_ = p => ({ name: p.name, component: p.component, declared: 'networks/rides.yaml:14:3', state: 'running', stuck: null, waits: [], starts: 1, received: 0, sent: 0, refused: 0, last_error: null, facet: kinds[p.name] ?? null })
const channel = c => ({ name: c.name, type: c.type, capacity: c.capacity, length: 0, senders: c.from.length, receivers: 1, waiting_send: 0, waiting_recv: 1, sent: 0, received: 0, dropped: 0, unchanged_ms: 0 })
const processes = graph.processes.map(process_)
const channels = graph.channels.map(channel)
const named = (all, name) => all.find(it => it.name === name)
let stuck = []
if (!many) {
  const wait = (what, on, at, for_ms) => [{ what, on, at, for_ms }]
  Object.assign(named(processes, 'backup'), { state: 'blocked', stuck: 'proven', waits: wait('send', 'again', 'networks/backup.rs:41:17', 8200) })
  Object.assign(named(processes, 'gate'), { state: 'blocked', stuck: 'proven', waits: wait('send', 'limited', 'components/limit.rs:88:24', 8100) })
  Object.assign(named(processes, 'dispatch'), { state: 'blocked', stuck: 'proven', waits: wait('send', 'late', 'components/dispatch.rs:131:30', 8150), last_error: { text: 'driver 17 is nowhere: [null, null]', ago_ms: 93000 }, refused: 4 })
  Object.assign(named(processes, 'log'), { state: 'waiting', waits: wait('recv', 'events', 'components/log.rs:19:33', 300) })
  stuck = [{ grade: 'proven', cycle: true, members: ['gate', 'dispatch', 'backup'], words: 'gate waits to send to limited, dispatch waits to send to late, backup waits to send to again, which gate alone receives from.' }]
}
const state = () => ({ network: graph.network, file: 'networks/rides.yaml', generation, status: 'running', uptime_ms: up(), read_only: false, processes, channels, stuck })
let letters = Array.from({ length: 12 }, (_, i) => ({ id: i + 1, cause: ['no driver within 5 km', 'payment card refused', 'at: expected two numbers'][i % 3], from: ['dispatch', 'pay', 'intake'][i % 3], attempts: 1 + (i % 4), at: '2026-11-22T19:0' + (i % 10) + ':00Z', message: { id: 1000 + i, at: [40.7 + i / 100, -73.9] } }))
const sagas = Array.from({ length: 9 }, (_, i) => ({ key: 'ride-' + (40 + i), state: ['running', 'waiting', 'done', 'compensated'][i % 4], step: ['reserve', 'charge', 'done', 'refund'][i % 4], attempts: 1 + (i % 5), next_in_ms: i % 4 === 1 ? 4200 : null, why: i % 4 === 1 ? 'charge: the bank said “try later”' : null, history: [{ step: 'reserve', what: 'done', at: '19:01:02' }, { step: 'charge', what: 'failed: try later', at: '19:01:03' }] }))
const count = (all, by) => all.reduce((sum, it) => ({ ...sum, [by(it)]: (sum[by(it)] ?? 0) + 1 }), {})
const facets = {
  dead: () => ({ total: letters.length, groups: Object.entries(count(letters, it => it.cause)).map(([cause, n]) => ({ cause, count: n, first: '2026-11-22T19:00:00Z', last: '2026-11-22T19:09:00Z' })), letters }),
  pay: () => ({ counts: count(sagas, it => it.state), sagas }),
  life: () => ({ table: 'ride', states: [['Requested', 12], ['Matched', 31], ['Riding', 54], ['Paid', 410], ['Cancelled', 9]].map(([name, n]) => ({ name, count: n, final: name === 'Paid' || name === 'Cancelled' })), instances: Array.from({ length: 30 }, (_, i) => ({ key: 'ride-' + i, state: 'Riding', version: 3 })), mermaid: 'stateDiagram-v2\n  [*] --> Requested' }),
  gate: () => ({ per_second: 200, burst: 50, passed: 18233, held: 12 }),
  dispatch: () => ({ counters: { matched: 8123, late: 44 }, policy: { window: '300ms', radius_km: 5 } }),
}
const act = {
  replay: a => {
    const hit = letters.filter(it => a.all || a.ids?.includes(it.id) || a.group === it.cause)
    if (a.dry_run) return { would: hit.length }
    letters = letters.filter(it => !hit.includes(it))
    return { replayed: hit.length }
  },
  discard: a => ((letters = letters.filter(it => !a.ids.includes(it.id))), { discarded: a.ids.length }),
  resume: a => Object.assign(named(sagas.map(it => ((it.name = it.key), it)), a.key), { state: 'done', why: null, next_in_ms: null }),
  cancel: a => Object.assign(sagas.find(it => it.key === a.key), { state: 'compensated', why: null, next_in_ms: null }),
  set: () => ({}),
}
const verbs = { dead: ['replay', 'discard'], pay: ['resume', 'cancel'], gate: ['set'], dispatch: ['set'], life: [] }
const traces = Array.from({ length: 12 }, (_, t) => ({ trace: (0x4bf92f3577b34da6n + BigInt(t * 7919)).toString(16) + '00000000000000', spans: ['intake', 'gate', 'dispatch', 'life', 'pay'].map((name, i) => ({ id: t + '-' + i, parent: i ? t + '-' + (i - 1) : null, links: i === 2 ? ['x'] : [], name: 'handle', process: name, channel: i ? ['requests', 'limited', 'matches', 'payments'][i - 1] : null, start_us: i * 900 + t * 10, end_us: i * 900 + 700 + i * t * 40, status: i === 4 && t % 5 === 1 ? 'error: card refused' : 'ok' })) }))
const text = 'version: 1\nname: rides\nchannels:\n  requests: {type: Ride, capacity: 256}\n  matches:  {capacity: 0}\nprocesses:\n  intake:   {uses: http, listen: "127.0.0.1:8080", out: requests, on_error: refused}\n'

const listeners = new Set()
const send = (to, event, data) => to.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
let tick = 0
setInterval(() => {
  tick++
  const [ps, cs] = [{}, {}]
  channels.forEach((it, i) => {
    if (!many && ['limited', 'late', 'again'].includes(it.name)) {
      if (it.length === it.capacity) return
      Object.assign(it, { length: it.capacity, waiting_send: 1, waiting_recv: 0, sent: 9000, received: 9000 - it.capacity })
    } else {
      const went = Math.round((1 + Math.sin(tick / 9 + i)) * 40)
      it.sent += went
      it.length = Math.max(0, Math.min(it.capacity, Math.round(it.capacity * (0.4 + 0.45 * Math.sin(tick / 12 + i * 1.7)))))
      it.received = Math.max(it.received, it.sent - it.length)
      if (it.name === 'positions' && tick % 9 === 0) it.dropped += 3
    }
    cs[i] = [it.length, it.sent, it.received, it.waiting_send, it.waiting_recv, it.dropped, 0]
  })
  processes.forEach((it, i) => {
    if (it.stuck || it.state === 'paused' || it.name === 'log') return
    it.received += 20
    it.sent += 20
    it.state = (tick + i * 3) % 11 < 7 ? 'running' : 'waiting'
    it.waits = it.state === 'waiting' ? [{ what: 'recv', on: graph.channels.find(c => c.to === it.name)?.name ?? null, at: 'components/map.rs:31:9', for_ms: 120 }] : []
    ps[i] = it
  })
  for (const it of listeners) send(it, 'change', { uptime_ms: up(), processes: ps, channels: cs })
}, 250)

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }
const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://x')
  const body = await new Promise(done => {
    let text = ''
    request.on('data', more => (text += more)).on('end', () => done(text ? JSON.parse(text) : {}))
  })
  const json = (data, status = 200) => response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(data))
  if (!url.pathname.startsWith('/api/v1/')) {
    const name = url.pathname === '/' ? 'index.html' : url.pathname.slice(1)
    try {
      response.writeHead(200, { 'Content-Type': TYPES[extname(name)] ?? 'text/plain', 'Content-Security-Policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" })
      return response.end(readFileSync(join(dist, name)))
    } catch {
      return response.end()
    }
  }
  const [what, name, verb] = url.pathname.slice(8).split('/').map(decodeURIComponent)
  if (what === 'events' || what === 'tap') {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    if (what === 'events') {
      send(response, 'state', state())
      listeners.add(response)
      return request.on('close', () => listeners.delete(response))
    }
    const timer = setInterval(() => send(response, 'message', { at_ms: up(), message: { id: tick, at: [40.7, -73.9] }, trace: null }), 300)
    return request.on('close', () => clearInterval(timer))
  }
  if (what === 'state') return json(state())
  if (what === 'graph') return json(graph)
  if (what === 'why') return json({ process: name, grade: 'proven', words: [`${name} is stuck, PROVEN`, '  gate waits to send on `rides/limited` (full, capacity 64) at components/limit.rs:88:24 for 9 s; only dispatch can receive', '  dispatch waits to send on `rides/late` (full, capacity 32) at components/dispatch.rs:131:30 for 9 s; only backup can receive', '  backup waits to send on `rides/again` (full, capacity 16) at components/backup.rs:41:17 for 9 s; only gate can receive'], chain: ['gate', 'dispatch', 'backup'] })
  if (what === 'facets' && !name) return json(many ? [] : Object.entries(kinds).map(([process, kind]) => ({ process, kind, verbs: verbs[process].map(name => ({ name, about: 'changes what is asked of it' })) })))
  if (what === 'facets' && !verb) return json(facets[name]())
  if (what === 'facets') return json(act[verb](body))
  if (what === 'processes') return json(Object.assign(named(processes, name), { state: verb === 'pause' ? 'paused' : 'running', waits: [] }))
  if (what === 'channels') return json({})
  if (what === 'errors') return json(many ? [] : [{ process: 'dispatch', text: 'driver 17 is nowhere: [null, null]', ago_ms: 93000, kind: 'refused' }, { process: 'pay', text: 'the bank closed the connection', ago_ms: 180000, kind: 'failed' }])
  if (what === 'traces') return json(many ? [] : traces)
  if (what === 'config') return json({ path: 'networks/rides.yaml', text, on_disk_differs: differs })
  if (what === 'reload') {
    if (!body.plan) [differs, generation] = [false, generation + 1]
    return json({ changes: [{ what: 'channel', name: 'requests', change: 'changed', words: 'capacity: 256 → 512' }, { what: 'process', name: 'pay', change: 'added', words: 'uses saga' }], done: !body.plan, rolled_back: null })
  }
  json({ error: 'there is nothing at this address' }, 404)
})
server.listen(Number(process.env.PORT ?? 7070), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`))
