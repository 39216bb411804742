// Depth and rates of one channel over time, by uPlot. Apart from the rest, as only the page of a channel needs it.
import { effect } from '@preact/signals'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { scheme } from './look'
import { seconds, uptime, type ChannelRow } from './store'

/** Seconds that are shown: about what the history holds. */
const SPAN = 60

/** Draws into `box` until the function that comes back is called. */
export function draw(box: HTMLElement, row: ChannelRow) {
  const charts: uPlot[] = []
  const wide = () => Math.max(200, box.clientWidth - 28)
  const build = () => {
    const css = getComputedStyle(document.documentElement)
    const colour = (name: string) => css.getPropertyValue(name).trim()
    charts.splice(0).forEach(it => it.destroy())
    const base = (title: string, series: uPlot.Series[], range: uPlot.Scale.Range): uPlot.Options => ({
      title, width: wide(), height: 190,
      cursor: { y: false, points: { size: 6 } },
      legend: { live: true },
      scales: { x: { time: false }, y: { range } },
      axes: [
        { stroke: colour('--quiet'), grid: { stroke: colour('--edge'), width: 1 }, ticks: { show: false }, size: 28, splits: (_, __, ___, end) => [-60, -50, -40, -30, -20, -10, 0].map(it => end + it), values: (_, all) => all.map(it => {
          const ago = Math.round(uptime() / 1000 - it)
          return ago ? `−${ago} s` : 'now'
        }) },
        { stroke: colour('--quiet'), grid: { stroke: colour('--edge'), width: 1 }, ticks: { show: false }, size: 56 },
      ],
      series: [{ label: 'at', value: (_, it) => (it == null ? '' : (it - uptime() / 1000).toFixed(1) + ' s') }, ...series],
    })
    const capacity = row.now.peek().capacity
    charts.push(
      new uPlot(base('Depth', [
        { label: 'waiting', stroke: colour('--accent'), fill: colour('--accent-soft'), width: 1.5, paths: uPlot.paths.stepped!({ align: 1 }), points: { show: false } },
        ...(capacity ? [{ label: 'capacity', stroke: colour('--stuck'), dash: [4, 4], width: 1, points: { show: false } }] : []),
      ], (_, __, most) => [0, Math.max(4, capacity ?? 0, most) * 1.05]), capacity ? [[], [], []] : [[], []], box),
      new uPlot(base('Messages a second', [
        { label: 'sent', stroke: colour('--accent'), width: 1.5, points: { show: false } },
        { label: 'received', stroke: colour('--blocked'), width: 1.5, dash: [6, 3], points: { show: false } },
      ], (_, __, most) => [0, Math.max(4, most * 1.1)]), [[], [], []], box),
    )
  }
  const show = () => {
    const [t, length, sent, received] = row.columns()
    const now = uptime() / 1000
    const from = Math.max(0, t.findIndex(it => it >= now - SPAN) - 1)
    // What was said last still holds.
    const at = [...t.slice(from), now]
    const last = row.now.peek()
    const capacity = last.capacity
    const scale = { min: Math.max(0, now - SPAN), max: now }
    const set = (chart: uPlot, data: uPlot.AlignedData) => {
      chart.setData(data, false)
      chart.setScale('x', scale)
    }
    set(charts[0], [at, [...length.slice(from), last.length], ...(capacity ? [at.map(() => capacity)] : [])] as uPlot.AlignedData)
    // Over at least a second, so that single messages do not make needles.
    const speed = (all: number[], end: number) => {
      const counts = [...all.slice(from), end]
      return at.map((now, i) => {
        let before = i
        while (before > 0 && now - at[before] < 1) before--
        const seconds = now - at[before]
        return seconds > 0 ? (counts[i] - counts[before]) / seconds : 0
      })
    }
    set(charts[1], [at, speed(sent, last.sent), speed(received, last.received)])
  }
  const stop = [
    effect(() => {
      scheme.value
      build()
      show()
    }),
    effect(() => {
      row.now.value
      seconds.value
      show()
    }),
  ]
  const size = new ResizeObserver(() => charts.forEach(it => it.setSize({ width: wide(), height: 190 })))
  size.observe(box)
  return () => {
    stop.forEach(it => it())
    size.disconnect()
    charts.forEach(it => it.destroy())
  }
}
