/**
 * A tap on a button or list row comes from Qontak as a plain text: its title. What was last offered to a person tells
 * which choice it is. Kept in memory and bounded: when nothing is remembered (a restart, long ago), the text stays a
 * text, and the hub matches titles by itself.
 */

import type { Choice } from '../../contract/bridge.ts'
import { BoundedMap } from '../bounded-map.ts'
import { normalTitle } from './outbound.ts'

/** People whose offers are remembered; the one not written to for longest is forgotten. */
const PEOPLE_MAX = 20_000
/** Choices remembered of one person: three lists. */
const CHOICES_MAX = 30

export interface Titles {
  /** These were offered to a person, known by any of these ids. */
  offered(ids: readonly (string | null | undefined)[], choices: readonly Choice[]): void
  /**
   * The choice whose title this text is. Its id is empty when more than one choice that was offered has that title: which
   * one was meant, the hub must tell. null: no such title.
   */
  find(ids: readonly (string | null | undefined)[], text: string): Choice | null
}

export function createTitles(): Titles {
  /** By id; newest choice first. */
  const offers = new BoundedMap<string, readonly Choice[]>(PEOPLE_MAX)
  return {
    offered(ids, choices) {
      for (const id of ids) {
        if (id === null || id === undefined) continue
        const before = (offers.get(id) ?? []).filter((old) => !choices.some((one) => isSame(old, one)))
        offers.set(id, [...choices, ...before].slice(0, CHOICES_MAX))
      }
    },
    find(ids, text) {
      const title = normalTitle(text)
      for (const id of ids) {
        const found = (offers.get(id ?? '') ?? []).filter((choice) => normalTitle(choice.title) === title)
        const [first] = found
        if (first === undefined) continue
        return found.every((choice) => choice.id === first.id) ? first : { id: '', title: first.title }
      }
      return null
    },
  }
}

const isSame = (a: Choice, b: Choice): boolean =>
  a.id === b.id && normalTitle(a.title) === normalTitle(b.title)
