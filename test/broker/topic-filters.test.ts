import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { covers, isFilter, isTopic, matches } from '../../broker/topic-filters.ts'
import { TopicTree } from '../../broker/topic-tree.ts'

describe('a topic', () => {
  test.each([
    ['hub/v1/JKT-01/POS-1/sale', true],
    ['/', true],
    ['a//b', true],
    ['$SYS/broker', true],
    ['penjualan/toko buku', true],
    ['日本/東京', true],
    ['', false],
    ['a/#', false],
    ['a/+', false],
    ['a+', false],
    ['a\u0000b', false],
    ['a\u001fb', false],
    ['a\u007fb', false],
    ['a\ufffdb', false],
    [Array(100).fill('a').join('/'), true],
    [Array(101).fill('a').join('/'), false],
  ])('%j: %s', (text, expected) => expect(isTopic(text)).toBe(expected))
})

describe('a filter', () => {
  test.each([
    ['#', true],
    ['+', true],
    ['a/#', true],
    ['+/+/#', true],
    ['a//+', true],
    ['/+', true],
    ['', false],
    ['a#', false],
    ['a/#/b', false],
    ['#/a', false],
    ['a+', false],
    ['+a', false],
    ['a/b+/c', false],
    ['a\u0000', false],
    [Array(101).fill('+').join('/'), false],
  ])('%j: %s', (text, expected) => expect(isFilter(text)).toBe(expected))
})

describe('matching', () => {
  test.each([
    ['a/b', 'a/b', true],
    ['a/b', 'a/c', false],
    ['a/+', 'a/b', true],
    ['a/+', 'a', false],
    ['a/+', 'a/', true],
    ['a/+', 'a/b/c', false],
    ['a/#', 'a', true],
    ['a/#', 'a/b/c', true],
    ['a/#', 'ab', false],
    ['#', 'a/b', true],
    ['#', '$SYS/x', false],
    ['+/x', '$SYS/x', false],
    ['$SYS/#', '$SYS/x', true],
    ['+', '/a', false],
    ['/+', '/a', true],
    ['+/+', '/a', true],
  ])('%s on %s: %s', (filter, topic, expected) => expect(matches(filter, topic)).toBe(expected))
})

describe('a filter that covers another', () => {
  test.each([
    ['a/#', 'a/+', true],
    ['a/#', 'a/#', true],
    ['a/#', 'a', true],
    ['a/+', 'a/#', false],
    ['a/b/#', 'a/#', false],
    ['a/+/c', 'a/b/c', true],
    ['a/b/c', 'a/+/c', false],
    ['#', '$SYS/#', false],
    ['+/#', '#', false],
  ])('%s over %s: %s', (outer, inner, expected) => expect(covers(outer, inner)).toBe(expected))
})

const level = fc.constantFrom('', 'a', 'b', '$x')
const topics = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'))
const filters = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 3 }), fc.constantFrom('', 'a', '+', '#'))
  .map(([levels, last]) => [...levels, last].join('/'))

/** Another way to match, to check the first by: filter → regular expression. */
function independentMatch(filter: string, topic: string): boolean {
  if (/^[+#]/.test(filter) && topic.startsWith('$')) return false
  const source = filter
    .split('/')
    .map((name) => name.replace(/[$]/g, '\\$&').replace('+', '[^/]*'))
    .join('/')
    .replace(/^#$/, '.*')
    .replace(/\/#$/, '(/.*)?')
  return new RegExp(`^${source}$`).test(topic)
}

test('matching agrees with a regular expression of the filter', () => {
  fc.assert(
    fc.property(filters, topics, (filter, topic) => {
      expect(matches(filter, topic)).toBe(independentMatch(filter, topic))
    }),
    { numRuns: 2_000 },
  )
})

test('a filter that covers another matches all that the other matches', () => {
  fc.assert(
    fc.property(filters, filters, topics, (outer, inner, topic) => {
      if (covers(outer, inner) && matches(inner, topic)) expect(matches(outer, topic)).toBe(true)
    }),
    { numRuns: 5_000 },
  )
})

test('the tree finds whom asking each filter would find, each with its highest QoS', () => {
  const operation = fc.record({
    filter: filters,
    subscriber: fc.constantFrom('x', 'y', 'z'),
    qos: fc.constantFrom<(0 | 1 | 2)[]>(0, 1, 2),
    add: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 20 }), topics, (operations, topic) => {
      const tree = new TopicTree<string>()
      const model = new Map<string, { filter: string; subscriber: string; qos: 0 | 1 | 2 }>()
      for (const { filter, subscriber, qos, add } of operations) {
        if (add) {
          tree.add(filter, subscriber, qos)
          model.set(`${subscriber} ${filter}`, { filter, subscriber, qos })
        } else {
          tree.remove(filter, subscriber)
          model.delete(`${subscriber} ${filter}`)
        }
      }
      const expected = new Map<string, number>()
      for (const { filter, subscriber, qos } of model.values()) {
        if (!matches(filter, topic)) continue
        expected.set(subscriber, Math.max(expected.get(subscriber) ?? 0, qos))
      }
      expect(Object.fromEntries(tree.match(topic))).toEqual(Object.fromEntries(expected))
      expect(tree.size).toBe(model.size)
    }),
    { numRuns: 1_000 },
  )
})
