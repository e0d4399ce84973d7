/** The page at `/`: the state of the hub on one screen, for a person with a browser or a phone. No script. */
import { createHash } from 'node:crypto'
import { type Figures, lagSeconds } from './monitoring.ts'
import { PARTS, type Part, type ReadinessReport } from './readiness.ts'

/** How often the page looks again by itself. */
const REFRESH_SECONDS = 5

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --up: #1a7f37; --down: #c62828; --soft: #7a7a7a }
@media (prefers-color-scheme: dark) { :root { --up: #4ac26b; --down: #ff7b72 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 56rem; padding: 1.25rem; font: 1rem/1.5 system-ui, sans-serif }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; justify-content: space-between }
h1 { font-size: 1.4rem; margin: 0 }
h2 { font-size: 1rem; margin: 2rem 0 .5rem }
p { margin: .5rem 0 }
.up { color: var(--up) } .down { color: var(--down) } .soft { color: var(--soft); font-size: .875rem }
.state { font-weight: 600 }
ul { list-style: none; margin: 0; padding: 0; border-top: 1px solid var(--line) }
li { border-bottom: 1px solid var(--line); display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .5rem 0 }
li > :first-child { flex: 0 0 7rem } li > :nth-child(2) { flex: 1 1 16rem; overflow-wrap: anywhere }
dl { display: grid; gap: .75rem; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); margin: 0 }
dl div { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .75rem }
dt { color: var(--soft); font-size: .8125rem } dd { font-size: 1.25rem; font-variant-numeric: tabular-nums; margin: 0 }
nav { display: flex; flex-wrap: wrap; gap: 1rem; margin-top: 2rem }
`

/** The page's own policy: this one style and nothing else; a file of the page could not even load a picture. */
export const STATUS_PAGE_CSP = {
  useDefaults: false,
  directives: {
    defaultSrc: ["'none'"],
    styleSrc: [`'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`],
    imgSrc: ['data:'],
    baseUri: ["'none'"],
    formAction: ["'none'"],
    frameAncestors: ["'none'"],
  },
}

export interface StatusPage {
  readonly report: ReadinessReport
  readonly figures: Figures
  readonly version: string
  readonly timezone: string
  readonly now: Date
}

export function renderStatusPage(page: StatusPage): string {
  const { report, version, timezone, now } = page
  const time = new Intl.DateTimeFormat('en-GB', {
    dateStyle: 'medium',
    timeStyle: 'medium',
    timeZone: timezone,
  })
  const readable = (instant: string | Date) => time.format(new Date(instant))
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="${REFRESH_SECONDS}">
<link rel="icon" href="data:,">
<title>${report.ready ? 'Ready' : 'Not ready'} – Dealer Hub</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>Dealer Hub</h1>
<span class="soft">version ${html(version)} – ${html(readable(now))} (${html(timezone)})</span>
</header>
<p class="state ${report.ready ? 'up' : 'down'}">${headline(report)}</p>
<h2>Parts</h2>
<ul>
${PARTS.map((part) => renderPart(part, report, readable)).join('\n')}
</ul>
<p class="soft">What an acknowledgement (PUBACK) is worth: ${html(report.puback)}.</p>
<h2>Since the start of this hub</h2>
<dl>
${tiles(page)
  .map(([name, value]) => `<div><dt>${html(name)}</dt><dd>${html(value)}</dd></div>`)
  .join('\n')}
</dl>
<h2>Refused</h2>
${renderRefused(page.figures.broker.refused)}
<nav>
<a href="/docs">API</a> <a href="/readyz">readyz</a> <a href="/healthz">healthz</a> <a href="/metrics">metrics</a>
</nav>
</body>
</html>
`
}

function headline({ ready, parts }: ReadinessReport): string {
  if (ready) return 'Ready: everything answers.'
  const down = PARTS.filter((part) => parts[part].state === 'down')
  if (down.length === 1 && down[0] === 'metrics') {
    return 'The metrics are away. Sales are taken, and the metrics catch up when they are back.'
  }
  if (down.includes('store')) {
    return 'The store is away. Devices are not answered until it is back; they keep their sales and send them again.'
  }
  return `Not ready: ${down.join(', ')}.`
}

function renderPart(part: Part, { parts }: ReadinessReport, readable: (instant: string) => string): string {
  const { state, detail, since } = parts[part]
  return (
    `<li><span><span class="state ${state}">${state === 'up' ? '●' : '○'}</span> ${part}</span>` +
    `<span>${html(detail)}</span><span class="soft">${state} since ${html(readable(since))}</span></li>`
  )
}

function tiles({ figures }: StatusPage): [name: string, value: string][] {
  const { broker, intake, committed, receipts, projector } = figures
  const lag = lagSeconds(projector)
  return [
    ['Connections now', number(broker.connections)],
    ['Messages received', number(broker.received)],
    ['Acknowledged', number(broker.acknowledged)],
    ['Waiting for the store', number(intake.pending)],
    ['Sales', number(committed.get('sale') ?? 0)],
    ['Vehicle reports', number(committed.get('status') ?? 0)],
    ['Device reports', number(committed.get('health') ?? 0)],
    ['To quarantine', number(committed.get('undecodable') ?? 0)],
    ['Receipts delivered', number(receipts.delivered)],
    ['Metrics behind by', lag === null ? '–' : `${lag.toFixed(1)} s`],
  ]
}

function renderRefused(refused: ReadonlyMap<string, number>): string {
  if (refused.size === 0) return '<p class="soft">Nothing was refused.</p>'
  const rows = [...refused]
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => `<li><span>${number(count)}</span><span>${html(reason)}</span></li>`)
  return `<ul>${rows.join('')}</ul>`
}

const number = (value: number): string => value.toLocaleString('en')

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
const html = (text: string): string => text.replace(/[&<>"']/g, (character) => ENTITIES[character] as string)
