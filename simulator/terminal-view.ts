/** A run to look at while it goes on: on a terminal a picture redrawn in place, elsewhere a JSON line a second. */
import { stripVTControlCharacters, styleText } from 'node:util'
import { figuresJson, latencyLines, receiptsLine } from './figures-report.ts'
import type { Progress } from './simulate.ts'

/** A function to be called with each progress report. */
export type View = (progress: Progress) => void

export const createView = (stream: NodeJS.WriteStream): View =>
  stream.isTTY ? createPicture(stream) : createLines(stream)

/** Samples in the curve of the rate. */
const CURVE_SAMPLES = 40
const CURVE_LEVELS = '▁▂▃▄▅▆▇█'

function createPicture(stream: NodeJS.WriteStream): View {
  const rates: number[] = []
  let before: Progress | null = null
  let linesDrawn = 0
  return (progress) => {
    rates.push(ratePerSecond(before, progress))
    if (rates.length > CURVE_SAMPLES) rates.shift()
    before = progress
    const lines = picture(progress, rates).map((line) => cutTo(stream.columns, line.trimEnd()))
    // Up to where the last picture began, and clear from there.
    const home = linesDrawn === 0 ? '' : `\u001b[${linesDrawn}A\u001b[0J`
    stream.write(`${home}${lines.join('\n')}\n`)
    linesDrawn = lines.length
  }
}

const LINES_EVERY_MS = 1000

function createLines(stream: NodeJS.WriteStream): View {
  let before: Progress | null = null
  return (progress) => {
    const sinceMs = before === null ? Number.POSITIVE_INFINITY : progress.elapsedMs - before.elapsedMs
    // Timers are never early, but the one before may have been late.
    if (sinceMs < 0.9 * LINES_EVERY_MS && progress.phase === before?.phase) return
    const line = {
      phase: progress.phase,
      elapsed_s: Math.round(progress.elapsedMs / 1000),
      world_at: new Date(progress.worldAtMs).toISOString(),
      events_per_s: Math.round(ratePerSecond(before, progress)),
      pending: progress.pending,
      ...figuresJson(progress.figures),
    }
    before = progress
    stream.write(`${JSON.stringify(line)}\n`)
  }
}

function ratePerSecond(before: Progress | null, { figures, elapsedMs }: Progress): number {
  const sinceMs = elapsedMs - (before?.elapsedMs ?? 0)
  return sinceMs <= 0 ? 0 : ((figures.published - (before?.figures.published ?? 0)) * 1000) / sinceMs
}

function picture(progress: Progress, rates: readonly number[]): string[] {
  const { phase, seed, dealers, devices, pending, figures, elapsedMs, speed } = progress
  const label = (name: string) => styleText('dim', name.padEnd(13))
  const number = (value: number) => styleText('bold', value.toLocaleString('en'))
  const pace = speed === 'max' ? 'as fast as it goes' : `${speed} s of the world a second`
  const trouble = figures.connected < devices && figures.lastTrouble !== null ? figures.lastTrouble : ''
  return [
    `${styleText(['bold', 'cyan'], 'Dealer Hub simulator')}   seed ${seed} · ${dealers} dealers · ${devices} devices`,
    `${styleText('bold', phase.padEnd(13))}${clockOf(progress.worldAtMs)}   ${pace}   ${minutes(elapsedMs)}`,
    '',
    `${label('connected')}${number(figures.connected)} of ${devices} devices   ${figures.reconnects} reconnects   ${styleText('red', trouble)}`,
    `${label('events')}${number(figures.published)} sent   ${number(Math.round(rates.at(-1) ?? 0))}/s   ${styleText('cyan', curve(rates))}`,
    `${label('sales')}${number(figures.sales)} sent   ${number(pending)} letters in outboxes   ${figures.republished} sent again`,
    `${label('receipts')}${receiptsLine(figures)}`,
    '',
    ...latencyLines(figures),
  ]
}

const worldClock = new Intl.DateTimeFormat('en-GB', {
  timeZone: 'Asia/Jakarta',
  weekday: 'short',
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
})

const clockOf = (atMs: number): string => `${worldClock.format(atMs)} WIB`

function minutes(elapsedMs: number): string {
  const seconds = Math.floor(elapsedMs / 1000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} min`
}

function curve(rates: readonly number[]): string {
  const most = Math.max(...rates, 1)
  return rates.map((rate) => CURVE_LEVELS[Math.floor((rate / most) * (CURVE_LEVELS.length - 1))]).join('')
}

/** Cut to the width of the terminal: a line that wraps would spoil the redrawing. */
function cutTo(columns: number, line: string): string {
  const plain = stripVTControlCharacters(line)
  return plain.length < columns ? line : plain.slice(0, columns - 1)
}
