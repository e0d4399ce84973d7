/** How what people type is compared: without case, accents, punctuation and drawn-out letters, and with a slip or two. */

/** More than a customer answers with; the rest is not looked at. */
const LETTERS_READ = 600

/** `Okeee, Kak!` → `oke kak` */
export function plain(text: string): string {
  return text
    .slice(0, LETTERS_READ)
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[\p{M}'’`]/gu, '')
    .replace(/([a-z])\1{2,}/g, '$1')
    .replace(/[^a-z0-9]+/g, ' ')
    .trim()
}

export const wordsOf = (text: string): string[] => plain(text).split(' ').filter(Boolean)

/** Whether the phrase stands in the text, whole words; both as `plain` gives them. */
export const contains = (text: string, phrase: string): boolean => ` ${text} `.includes(` ${phrase} `)

export const containsAny = (text: string, phrases: readonly string[]): boolean =>
  phrases.some((phrase) => contains(text, phrase))

/** Slips of the finger that still mean a word: none in short words, where every other word is near. */
const slipsAllowed = (length: number): number => (length < 5 ? 0 : length < 9 ? 1 : 2)

/** The slips between what was typed and a word, or null when it is another word. People rarely miss the first letter. */
export function slips(typed: string, word: string): number | null {
  if (typed === word) return 0
  const allowed = slipsAllowed(word.length)
  if (typed[0] !== word[0] || Math.abs(typed.length - word.length) > allowed) return null
  const distance = editDistance(typed, word)
  return distance <= allowed ? distance : null
}

/** Insertions, omissions, replacements and neighbours swapped (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (last[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row[j] = Math.min(replaced, (last[j] as number) + 1, (row[j - 1] as number) + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        row[j] = Math.min(row[j] as number, (beforeLast[j - 2] as number) + 1)
    }
    beforeLast = last
    last = row
  }
  return last[b.length] as number
}

/** A text cut to fit, with an ellipsis where something is missing; never half of a surrogate pair. */
export function shorten(text: string, length: number): string {
  const short = text.trim()
  if (short.length <= length) return short
  return `${short
    .slice(0, length - 1)
    .replace(/[\uD800-\uDBFF]$/, '')
    .trimEnd()}…`
}
