/**
 * A small world to decide in: dealers along one road, a kilometre apart, with a rep each; a store that is a map. What a
 * decider asks for is read, it is asked again until it names nothing new, and what it proposes is applied, as the intake
 * and a store would do it (`test/contracts/store.ts` holds the real ones to this).
 */
import { isDeepStrictEqual } from 'node:util'
import { deciderOf } from '../../../gateway/deciders/deciders.ts'
import { DEFAULT_RACE_RULES, type Decision, type Moment } from '../../../gateway/deciders/decision.ts'
import type { DecodedMessage } from '../../../gateway/decode/people.ts'
import type { Decoded } from '../../../gateway/decode.ts'
import { createDirectory } from '../../../gateway/directory.ts'
import type { DealerRow, RepRow } from '../../../gateway/documents.ts'
import { type JobDoc, jobKey, type LeadDoc, leadKey } from '../../../gateway/race-documents.ts'
import type { Key } from '../../../gateway/store/keys.ts'
import type { Doc, Writes } from '../../../gateway/store/store.ts'

/** A Sunday, 12:00 in Jakarta. */
export const NOON = Date.parse('2026-11-22T05:00:00.000Z')

export const dealer = (n: number, more: Partial<DealerRow> = {}): DealerRow => ({
  dealer_id: `d${n}`,
  name: `Dealer ${n}`,
  region: 'Jawa Barat',
  lat: -6.9,
  lon: 107.6 + n / 110,
  opens: '09:00',
  closes: '17:00',
  daily_quota: null,
  phone: null,
  ...more,
})

export const rep = (n: number, more: Partial<RepRow> = {}): RepRow => ({
  rep_id: `r${n}`,
  dealer_id: `d${n}`,
  name: `Rep ${n}`,
  phone: `+62812000000${String(n).padStart(2, '0')}`,
  language: 'en',
  ...more,
})

export interface Entry {
  readonly type: string
  readonly data: Record<string, unknown>
}

export function raceWorld({
  dealers = [1, 2, 3, 4, 5, 6].map((n) => dealer(n)),
  reps = [1, 2, 3, 4, 5, 6].map((n) => rep(n)),
}: {
  dealers?: DealerRow[]
  reps?: RepRow[]
} = {}) {
  const directory = createDirectory({ dealers, reps, managers: [], prices: new Map(), serials: null })
  const docs = new Map<Key, Doc>()
  const timers = new Map<string, number>()
  const entries: Entry[] = []
  const sent: JobDoc[] = []
  let nowMs = NOON
  let messages = 0

  const moment = (): Moment => ({
    nowMs,
    timezone: 'Asia/Jakarta',
    directory,
    rules: DEFAULT_RACE_RULES,
  })

  function decide(message: Decoded): Decision {
    const decider = deciderOf(message)
    const keys: Record<string, Key> = { ...decider.keys(message) }
    const found: Record<string, Doc | null> = {}
    for (const [name, key] of Object.entries(keys)) found[name] = docs.get(key) ?? null
    for (;;) {
      const more = Object.entries(decider.follow?.(message, found, moment()) ?? {})
      const missing = more.filter(([name]) => !(name in found))
      if (missing.length === 0) return decider.decide(message, found, keys, moment())
      for (const [name, key] of missing) found[name] = docs.get(key) ?? null
    }
  }

  function write({ set = [], append = [], index = [] }: Writes, entry: string | null): void {
    for (const { key, value } of set) {
      const version = (docs.get(key)?.version ?? 0) + 1
      if (value === null) docs.delete(key)
      else docs.set(key, { value: structuredClone(value), version, atMs: nowMs, entry })
    }
    for (const { type, data } of append) entries.push({ type, data: { ...data } })
    for (const { name, member, score } of index) {
      if (!name.endsWith('timers')) continue
      if (score === null) timers.delete(member)
      else timers.set(member, score)
    }
  }

  /** What a message came to: the entries it appended, and whom it made the hub write to. */
  function take(message: Decoded): Entry[] {
    const before = entries.length
    const { proposals, jobs = [] } = decide(message)
    for (const proposal of proposals) {
      // As a store does it: what is written together remembers the first entry appended with it.
      const entry = proposal.append?.length ? String(entries.length + 1) : null
      for (const { key, value, equalIsMine } of proposal.once ?? []) {
        const held = docs.get(key)
        if (held !== undefined && equalIsMine && isDeepStrictEqual(held.value, value)) continue
        if (held !== undefined) throw new Error(`${key} is held`)
        docs.set(key, { value: structuredClone(value), version: 1, atMs: nowMs, entry })
      }
      for (const { key, version } of proposal.check ?? []) {
        if ((docs.get(key)?.version ?? 0) !== version) throw new Error(`${key} has moved on`)
      }
      write(proposal, entry)
    }
    for (const job of jobs) {
      const doc = docs.get(jobKey(job))?.value as JobDoc | undefined
      if (doc !== undefined) sent.push(doc)
    }
    return entries.slice(before)
  }

  const reply = (message: Decoded) => decide(message).reply

  function said(
    person: { phone?: string; user?: string },
    more: Partial<DecodedMessage['message']>,
  ): DecodedMessage {
    const { phone = null, user = null } = person
    return {
      kind: 'message',
      bridge: 'meta',
      message: {
        event_id: `wamid.${++messages}`,
        bridge: 'meta',
        account: '100',
        customer: { phone, user_id: user, name: 'Rina' },
        at: new Date(nowMs).toISOString(),
        kind: 'text',
        raw: null,
        ...more,
      },
      handles: {
        customer: phone === null ? null : { id: `cus_${phone.slice(1)}`, phone },
        other: user && `handle-${user}`,
      },
    }
  }

  return {
    take,
    reply,
    entries,
    sent,
    timers,
    said,
    get now() {
      return nowMs
    },
    pass(ms: number) {
      nowMs += ms
    },
    /** A form that says where: the lead it made. */
    lead(event = 'form-1', at = { lat: -6.9, lon: 107.6 }): string {
      take(form(event, at))
      return entries.findLast(({ type }) => type === 'lead.created')?.data.lead as string
    },
    tap(n: number, choice: string): Entry[] {
      return take(said({ phone: rep(n).phone }, { kind: 'choice', choice: { id: choice, title: 'Claim' } }))
    },
    doc: (lead: string) => docs.get(leadKey(lead))?.value as LeadDoc,
    /** Every timer that is due now fires, as the index has it. */
    fire(): Entry[] {
      const due = [...timers].filter(([, atMs]) => atMs <= nowMs).map(([member]) => member)
      return due.flatMap((member) => {
        const [timer, lead, n] = member.split(':') as ['claim', string, string]
        return take({ kind: 'timer', timer, lead, n: Number(n) })
      })
    },
  }
}

export const form = (event: string, more: object = {}, phone = '+6281300000001'): Decoded => ({
  kind: 'submission',
  portal: 'hq',
  submission: { event_id: event, name: 'Rina', phone, ...more },
  handles: { customer: { id: `cus_${phone.slice(1)}`, phone }, other: null },
})

export const types = (entries: readonly Entry[]): string[] => entries.map(({ type }) => type)
