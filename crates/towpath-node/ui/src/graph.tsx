// The network as a picture. Where everything stands was decided in the node (`draw.rs`); here it is drawn once, and afterwards only
// attributes of what changed are set.
import { effect, useSignal, type Signal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import type { Graph, GraphChannel, Point } from './api'
import { Badge, Choice, ChannelLink, Depth, depth, Empty, fill, href, Page, Problem, ProcessLink, SHAPES, Shape, shown, type Shown } from './parts'
import { channelOf, channels, graph, graphNote, processes, processOf } from './store'

/** A line through points: straight between two on one height or one above the other, and else a curve. As in `draw/svg.rs`. */
export function path(points: Point[]) {
  let text = ''
  points.forEach(([x, y], i) => {
    if (!i) return void (text = `M${x} ${y}`)
    const [a, b] = points[i - 1]
    const middle = Math.trunc((a + x) / 2)
    text += a === x || b === y ? `L${x} ${y}` : `C${middle} ${b} ${middle} ${y} ${x} ${y}`
  })
  return text
}
const cut = (name: string) => (name.length > 26 ? name.slice(0, 25) + '…' : name)
/** Above this nobody reads names of lines in the whole picture; they are there when one comes nearer. */
const MANY = 150
const far = (zoom: number, of: Graph) => zoom < 0.5 && of.channels.length > MANY

/** Something in the picture that changes: where it is, whether that is seen now, whether it was drawn since it changed. */
type Item = { left: number; top: number; right: number; bottom: number; seen: boolean; stale: boolean; draw: (far: boolean) => void }
/** Pixels around what is seen that are kept drawn, so that scrolling meets no old picture. */
const AROUND = 300

export function Network() {
  const view = useSignal<'picture' | 'table'>('picture')
  const it = graph.value
  return (
    <Page title="Network" note="Messages go from left to right. The arrow keys walk along the channels, Enter opens."
      tools={<Choice label="Show as" value={view.value} of={['picture', 'table']} onChange={to => (view.value = to)} />}>
      <Problem text={graphNote.value} />
      {!it ? <Empty title="The picture is on its way." /> : view.value === 'table' ? <Listing of={it} /> : <Picture of={it} />}
    </Page>
  )
}

function Picture({ of }: { of: Graph }) {
  const svg = useRef<SVGSVGElement>(null)
  const box = useRef<HTMLDivElement>(null)
  const zoom = useSignal(0)
  const fit = () => {
    const { clientWidth: w, clientHeight: h } = box.current!
    zoom.value = Math.max(0.05, Math.min(1.25, (w - 4) / of.width, Math.max(h, innerHeight - 240) / of.height))
  }
  useEffect(() => {
    fit()
    // A large network begins readable at its left edge; a button shows all of it.
    if (zoom.peek() < 0.5) zoom.value = 0.85
  }, [of])
  useEffect(() => bind(svg.current!, box.current!, of, zoom), [of])
  const by = (factor: number) => () => (zoom.value = Math.min(3, Math.max(0.05, zoom.value * factor)))
  return (
    <>
      <div class="bar-of-tools" role="group" aria-label="Size of the picture">
        <button type="button" onClick={by(1 / 1.25)} aria-label="Smaller">−</button>
        <button type="button" onClick={by(1.25)} aria-label="Larger">+</button>
        <button type="button" onClick={fit}>Fit</button>
        <Legend />
      </div>
      <div class="picture" ref={box} tabIndex={0} role="region" aria-label="Picture of the network">
        <svg ref={svg} class={far(zoom.value, of) ? 'far' : ''} viewBox={`0 0 ${of.width} ${of.height}`}
          width={Math.round(of.width * zoom.value)} height={Math.round(of.height * zoom.value)} role="group" aria-label={`Network ${of.network}`}>
          <defs>
            <marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" /></marker>
          </defs>
          {of.channels.map((it, i) => it.edges.length > 0 && (
            <a class="channel" data-c={i} href={href('channel', it.name)} tabIndex={-1}>
              {it.edges.map(edge => <path class="line" marker-end="url(#head)" d={path(edge.points)} />)}
              {it.edges.map(edge => <path class="fill" pathLength={100} d={path(edge.points)} />)}
              {it.edges.map(edge => <path class="hit" d={path(edge.points)} />)}
              <text x={it.label?.x} y={it.label?.y} text-anchor={it.label?.anchor}>{cut(it.name)}<tspan class="count" /></text>
            </a>
          ))}
          {of.processes.map((it, i) => (
            <a class="process" data-p={i} href={href('process', it.name)} tabIndex={i ? -1 : 0}>
              <rect class={it.source ? 'source' : ''} x={it.x} y={it.y} width={it.w} height={it.h} rx={8} />
              <text class="name" x={it.x + 14} y={it.y + it.h / 2 - 3}>{cut(it.name)}</text>
              <text x={it.x + 14} y={it.y + it.h / 2 + 14}>{cut(it.component)}</text>
              <text class="state" x={it.x + it.w - 28} y={it.y + it.h / 2 + 14} text-anchor="end" />
              <path class="mark" transform={`translate(${it.x + it.w - 23} ${it.y + it.h / 2 + 4})`} fill-rule="evenodd" />
            </a>
          ))}
        </svg>
      </div>
    </>
  )
}

const Legend = () => (
  <ul class="legend" aria-label="States">
    {(['busy', 'blocked', 'idle', 'paused', 'stuck'] as Shown[]).map(it => <li class={'is-' + it}><Shape of={it} /> {it}</li>)}
    <li><svg width="34" height="10" aria-hidden="true"><path class="line" d="M0 5h34" /><path class="fill" d="M16 5h18" /></svg> how full</li>
  </ul>
)

/** Ties the elements to the rows, and the keyboard to the elements. What is out of sight is drawn when it comes into it. */
function bind(svg: SVGSVGElement, box: HTMLElement, of: Graph, zoom: Signal<number>) {
  const ends: (() => void)[] = []
  const of_process = svg.querySelectorAll<SVGAElement>('[data-p]')
  const of_channel = new Map<number, SVGAElement>()
  svg.querySelectorAll<SVGAElement>('[data-c]').forEach(it => of_channel.set(+it.dataset.c!, it))
  const items: Item[] = []
  let away = far(zoom.peek(), of)
  const keep = (item: Item, read: () => unknown) => {
    items.push(item)
    item.draw(false)
    ends.push(effect(() => {
      read()
      if (item.seen) item.draw(away)
      item.stale = !item.seen || away
    }))
  }
  const look = () => {
    const k = zoom.peek()
    away = far(k, of)
    const [left, top] = [(box.scrollLeft - AROUND) / k, (box.scrollTop - AROUND) / k]
    const [right, bottom] = [left + (box.clientWidth + 2 * AROUND) / k, top + (box.clientHeight + 2 * AROUND) / k]
    for (const it of items) {
      it.seen = it.left < right && it.right > left && it.top < bottom && it.bottom > top
      if (it.seen && it.stale) {
        it.draw(away)
        it.stale = away
      }
    }
  }
  of.processes.forEach((it, i) => {
    const row = processOf(it.name)
    const element = of_process[i]
    if (!row) return
    const [state, mark] = [element.querySelector('.state')!, element.querySelector('.mark')!]
    let last = ''
    const draw = () => {
      const next = shown(row.now.peek())
      if (next === last) return
      last = next
      element.setAttribute('class', 'process is-' + next)
      element.setAttribute('aria-label', `process ${it.name}, ${it.component}, ${next}`)
      state.textContent = next
      mark.setAttribute('d', SHAPES[next])
    }
    keep({ left: it.x, top: it.y, right: it.x + it.w, bottom: it.y + it.h, seen: true, stale: false, draw }, () => row.now.value)
  })
  of.channels.forEach((it, i) => {
    const row = channelOf(it.name)
    const element = of_channel.get(i)
    if (!row || !element) return
    const fills = element.querySelectorAll<SVGPathElement>('.fill')
    const count = element.querySelector('.count')!
    let [step, text, level] = [-1, '?', '?']
    const draw = (far: boolean) => {
      const now = row.now.peek()
      const full = depth(now)
      // In steps, so that most changes are none; what is not empty shows.
      const steps = far ? 5 : 20
      const next = full === 0 ? 0 : Math.max(1, Math.floor(full * steps)) * (20 / steps)
      if (next !== step) {
        step = next
        for (const fill of fills) fill.style.strokeDasharray = `0 ${100 - next * 5} ${next * 5} 0`
      }
      const kind = full >= 1 ? ' full' : full > 0.75 ? ' high' : ''
      if (kind !== level) {
        level = kind
        element.setAttribute('class', 'channel' + kind)
      }
      if (far) return
      const words = now.capacity ? (now.length ? ` ${now.length}/${now.capacity}` : '') : now.waiting_send ? ' held up' : ''
      if (words !== text) {
        text = words
        count.textContent = words
        element.setAttribute('aria-label', `channel ${it.name} from ${it.from.join(', ')} to ${it.to}: ${fill(now)}`)
      }
    }
    const [xs, ys] = [0, 1].map(k => it.edges.flatMap(edge => edge.points.map(point => point[k])))
    keep({ left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys) - 20, bottom: Math.max(...ys) + 10, seen: true, stale: false, draw }, () => row.now.value)
  })
  const size = new ResizeObserver(look)
  size.observe(box)
  // The new size is there after it was drawn.
  ends.push(() => size.disconnect(), effect(() => void (zoom.value, requestAnimationFrame(look))))
  box.addEventListener('scroll', look, { passive: true })
  ends.push(() => box.removeEventListener('scroll', look))

  // The walk: from a process along a line to its channel, from there to the process at its end.
  const processes = new Map(of.processes.map((it, i) => [it.name, i]))
  const high = (it: GraphChannel) => it.edges[0]?.points[0][1] ?? 0
  const out = (name: string) => of.channels.map((it, i) => [it, i] as const).filter(([it]) => it.edges.length && it.from.includes(name)).sort((a, b) => high(a[0]) - high(b[0])).map(it => it[1])
  const into = (name: string) => of.channels.map((it, i) => [it, i] as const).filter(([it]) => it.edges.length && it.to === name).map(it => it[1])
  const go = (to: SVGAElement | undefined) => {
    if (!to) return
    svg.querySelector('a[tabindex="0"]')?.setAttribute('tabindex', '-1')
    to.setAttribute('tabindex', '0')
    to.focus({ preventScroll: true })
    const inside = to.querySelector('text')!
    inside.scrollIntoView({ block: 'nearest', inline: 'nearest' })
  }
  const keys = (event: KeyboardEvent) => {
    const at = (event.target as Element).closest<SVGAElement>('a')
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (!at || !step || event.ctrlKey || event.altKey || event.metaKey) return
    event.preventDefault()
    const across = event.key === 'ArrowRight' || event.key === 'ArrowLeft'
    if (at.dataset.p !== undefined) {
      const name = of.processes[+at.dataset.p].name
      if (across) return go(of_channel.get((step > 0 ? out(name) : into(name))[0]))
      const column = of.processes.map((it, i) => [it, i] as const).filter(([it]) => it.x === of.processes[+at.dataset.p!].x).sort((a, b) => a[0].y - b[0].y).map(it => it[1])
      return go(of_process[column[column.indexOf(+at.dataset.p) + step]])
    }
    const channel = of.channels[+at.dataset.c!]
    if (across) {
      const name = step > 0 ? channel.to : channel.from[0]
      return go(name == null ? undefined : of_process[processes.get(name)!])
    }
    const beside = out(channel.from[0])
    go(of_channel.get(beside[beside.indexOf(+at.dataset.c!) + step]))
  }
  svg.addEventListener('keydown', keys)
  ends.push(() => svg.removeEventListener('keydown', keys))
  return () => ends.forEach(it => it())
}

/** The same as words: from whom, through which channel, to whom. */
function Listing({ of }: { of: Graph }) {
  processes.value
  channels.value
  return (
    <div class="scroll tall" tabIndex={0} role="region" aria-label="Table of the network">
      <table>
        <thead><tr><th scope="col">From</th><th scope="col">Channel</th><th scope="col">Depth</th><th scope="col">To</th></tr></thead>
        <tbody>{of.channels.map(it => (
          <tr>
            <td>{it.from.map((name, i) => <>{i > 0 && ', '}<Who name={name} /></>)}</td>
            <td><ChannelLink name={it.name} /> {it.type && <span class="note">{it.type}</span>}</td>
            <td><Now name={it.name} /></td>
            <td>{it.to && <Who name={it.to} />}</td>
          </tr>
        ))}</tbody>
      </table>
    </div>
  )
}
function Who({ name }: { name: string }) {
  const row = processOf(name)
  return <><ProcessLink name={name} /> {row && <Badge of={shown(row.now.value)} />}</>
}
function Now({ name }: { name: string }) {
  const row = channelOf(name)
  return row ? <Depth row={row} /> : null
}
