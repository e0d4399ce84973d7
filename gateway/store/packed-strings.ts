/**
 * Many strings as one, on their way between threads: a message's cost is by the piece, and a batch has thousands.
 */
export interface PackedStrings {
  readonly joined: string
  /** UTF-16 units of each. */
  readonly lengths: Int32Array
}

export const pack = (strings: readonly string[]): PackedStrings => ({
  joined: strings.join(''),
  lengths: Int32Array.from(strings, ({ length }) => length),
})

export function unpack({ joined, lengths }: PackedStrings): string[] {
  const strings: string[] = new Array(lengths.length)
  let at = 0
  for (let i = 0; i < lengths.length; i++) {
    const end = at + (lengths[i] as number)
    strings[i] = joined.slice(at, end)
    at = end
  }
  return strings
}
