/**
 * Topic names and topic filters as MQTT 3.1.1 §4.7 has them.
 *
 *   topic    what a message is published on: `hub/v1/JKT-01/POS-1/sale`
 *   filter   what is subscribed: a topic, or one with the wildcards `+` (one level) and `#` (the level above and all below)
 */

/**
 * Control characters must not be in any text [MQTT-1.5.3-2], and U+FFFD is what bytes that are no UTF-8 were decoded
 * to [MQTT-1.5.3-1].
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNWANTED = /[\u0000-\u001f\u007f-\u009f\ufffd\ufffe\uffff]/

export const isText = (text: string): boolean => !UNWANTED.test(text)

/** The deepest topic: MQTT has no bound, and every level costs in the matching. */
const LEVELS_MAX = 100

export function isTopic(text: string): boolean {
  if (text === '' || text.includes('+') || text.includes('#')) return false // [MQTT-4.7.3-1] [MQTT-3.3.2-2]
  return isText(text) && text.split('/').length <= LEVELS_MAX
}

export function isFilter(text: string): boolean {
  if (text === '' || !isText(text)) return false
  const levels = text.split('/')
  return (
    levels.length <= LEVELS_MAX &&
    levels.every((level, i) => {
      if (level === '#') return i === levels.length - 1 // [MQTT-4.7.1-2]
      return level === '+' || !(level.includes('+') || level.includes('#')) // [MQTT-4.7.1-3]
    })
  )
}

/**
 * Whether everything that the topic or filter `inner` can match is also matched by the filter `outer`. In doubt no:
 * `+/#` is not seen to cover `#`.
 */
export function covers(outer: string, inner: string): boolean {
  const outerLevels = outer.split('/')
  const innerLevels = inner.split('/')
  // A wildcard in front does not match topics that begin with $ [MQTT-4.7.2-1].
  if (inner.startsWith('$') && (outerLevels[0] === '#' || outerLevels[0] === '+')) return false
  for (let i = 0; ; i++) {
    const outerLevel = outerLevels[i]
    const innerLevel = innerLevels[i]
    if (outerLevel === '#') return true // also the level above: `a/#` matches `a`
    if (outerLevel === undefined || innerLevel === undefined) return outerLevel === innerLevel
    if (innerLevel === '#') return false
    if (outerLevel !== '+' && outerLevel !== innerLevel) return false
  }
}

/** Whether a message on `topic` goes to who subscribed `filter`. */
export const matches = (filter: string, topic: string): boolean => covers(filter, topic)
