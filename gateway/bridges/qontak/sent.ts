/**
 * Which message at Qontak is which job. Qontak carries no id of ours, so a job is known by the id that its send was
 * answered with; and when no answer came, by its echo: the webhook that tells of a message in the same room with the
 * same words, or of a broadcast to the same phone. In memory and bounded: of jobs from before a restart, reports that
 * come later (delivered, read) are counted and not told.
 */
import { BoundedMap } from '../bounded-map.ts'
import type { Fate } from './inbound.ts'

/** A day of a busy channel. */
const SENT_MAX = 50_000
/** Reports that came before the answer to the send: under way at once are far fewer. */
const EARLY_MAX = 2000
/** Sends without an answer: kept until the hub has handed them over again. */
const DOUBTFUL_MAX = 2000

export interface Doubt {
  readonly jobId: string
  /** How it would be echoed: `roomEcho` or `phoneEcho`. */
  readonly key: string
  /** When it was first sent, ms. */
  readonly sinceMs: number
}

export interface Sent {
  /** A send was answered. @returns what was reported before the answer came, in order */
  answered(jobId: string, providerId: string): readonly Fate[]
  /** A send was not answered. @returns what was reported of it already */
  unanswered(doubt: Doubt): { readonly providerId: string; readonly fates: readonly Fate[] } | null
  /** A report. @returns its job; null when it is not known (yet) */
  jobOf(fate: Fate): string | null
  /** Set while nobody knows whether it went out. */
  doubtOf(jobId: string): Doubt | null
  /** It is known now. */
  settled(jobId: string): void
  /** A message that is known to be some job. */
  isKnown(providerId: string): boolean
}

export const roomEcho = (roomId: string, text: string): string => `room ${roomId} ${text}`
export const phoneEcho = (phone: string): string => `phone ${phone.replace(/\D/g, '')}`

const keyOf = ({ echo, phone }: Fate): string | null =>
  echo !== null ? roomEcho(echo.roomId, echo.text) : phone !== null ? phoneEcho(phone) : null

export function createSent(): Sent {
  const jobs = new BoundedMap<string, string>(SENT_MAX)
  const early = new BoundedMap<string, Fate[]>(EARLY_MAX)
  const doubts = new BoundedMap<string, Doubt>(DOUBTFUL_MAX)

  function takeEarly(providerId: string): readonly Fate[] {
    const fates = early.get(providerId) ?? []
    early.delete(providerId)
    return fates
  }

  function answered(jobId: string, providerId: string): readonly Fate[] {
    jobs.set(providerId, jobId)
    doubts.delete(jobId)
    return takeEarly(providerId)
  }

  return {
    answered,
    unanswered(doubt) {
      const known = doubts.get(doubt.jobId)
      for (const [providerId, fates] of early) {
        // The same words may have been said before.
        const isIt = (fate: Fate) => keyOf(fate) === doubt.key && Date.parse(fate.at) >= doubt.sinceMs
        if (!fates.some(isIt)) continue
        return { providerId, fates: answered(doubt.jobId, providerId) }
      }
      doubts.set(doubt.jobId, known ?? doubt)
      return null
    },
    jobOf(fate) {
      const jobId = jobs.get(fate.providerId)
      if (jobId !== undefined) return jobId
      const key = keyOf(fate)
      for (const doubt of doubts.values()) {
        if (doubt.key !== key) continue
        answered(doubt.jobId, fate.providerId)
        return doubt.jobId
      }
      early.set(fate.providerId, [...(early.get(fate.providerId) ?? []), fate].slice(-8))
      return null
    },
    doubtOf: (jobId) => doubts.get(jobId) ?? null,
    settled: (jobId) => void doubts.delete(jobId),
    isKnown: (providerId) => jobs.has(providerId),
  }
}
