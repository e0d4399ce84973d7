/** The outcome of a run and its verdict, as a table for people and as JSON for programs. */
import { styleText } from 'node:util'
import { figuresJson, latencyLines, receiptsLine } from './figures-report.ts'
import type { SimulationResult } from './simulate.ts'
import type { Verdict } from './verdict.ts'

export function renderResult({ figures, elapsedMs, pending, verdict, seed }: SimulationResult): string {
  const seconds = elapsedMs / 1000
  const lines = [
    `seed ${seed}: ${figures.sales.toLocaleString('en')} sales and ${figures.statuses.toLocaleString('en')} ` +
      `vehicle reports in ${seconds.toFixed(1)} s, ${figures.reconnects} reconnects, ${pending} letters left in outboxes`,
    `receipts  ${receiptsLine(figures)}`,
    ...latencyLines(figures),
  ]
  if (verdict !== null) lines.push('', renderVerdict(verdict))
  return lines.join('\n')
}

export function renderVerdict({ seed, holds, checks, findings }: Verdict): string {
  const headline = holds
    ? styleText(['bold', 'green'], 'The hub holds what was sent, entry by entry.')
    : styleText(['bold', 'red'], 'The hub does not hold what was sent.')
  const rows = checks.flatMap(({ check, rule, checked, failed }) => {
    const mark = failed > 0 ? styleText('red', '✘') : checked > 0 ? styleText('green', '✔') : '–'
    const wrong = String(failed).padStart(7)
    const row = `${mark} ${check.padEnd(11)}${String(checked).padStart(9)}${failed > 0 ? styleText('red', wrong) : wrong}  ${rule}`
    const explained = findings.filter((finding) => finding.check === check)
    return [
      row,
      ...explained.map(({ event_id, serial, expected, found }) => {
        const about = [event_id && `event ${event_id}`, serial && `serial ${serial}`]
          .filter(Boolean)
          .join(' ')
        return `    ${about === '' ? '' : `${about}: `}expected ${expected}; found ${found}`
      }),
      ...(failed > explained.length ? [`    … and ${failed - explained.length} more`] : []),
    ]
  })
  return [
    `${headline} (seed ${seed})`,
    `  ${'check'.padEnd(11)}${'checked'.padStart(9)}${'wrong'.padStart(7)}  rule`,
    ...rows,
  ].join('\n')
}

export function resultJson({ figures, elapsedMs, pending, verdict, seed }: SimulationResult): object {
  return { seed, elapsed_s: Math.round(elapsedMs) / 1000, pending, ...figuresJson(figures), verdict }
}
