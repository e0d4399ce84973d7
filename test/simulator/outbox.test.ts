import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Receipt } from '../../gateway/contract/receipts.ts'
import { Outbox, type Outgoing } from '../../simulator/outbox.ts'
import type { Letter } from '../../simulator/plan.ts'

const letter = (id: string, kind: Letter['kind'] = 'sale'): Letter => ({
  kind,
  id,
  atMs: 0,
  device: 'medan/pos-1',
  payload: Buffer.from(id),
})

const receipt = (eventId: string, outcome: Receipt['outcome'] = 'registered'): Receipt => ({
  event_id: eventId,
  outcome,
  reason: null,
  errors: [],
  first: null,
  entry: '17',
  committed_at: '2026-11-23T03:00:00.000Z',
})

/** Hands out all that may be sent now. */
function sendAll(outbox: Outbox, nowMs = 0): Outgoing[] {
  const sent: Outgoing[] = []
  for (let next = outbox.next(nowMs); next !== null; next = outbox.next(nowMs)) sent.push(next)
  return sent
}

const ids = (sent: Outgoing[]): string[] => sent.map(({ letter: { id } }) => id)

describe('an outbox', () => {
  test('keeps a sale until its receipt has come, whatever was acknowledged', () => {
    const outbox = new Outbox(20)
    outbox.post(letter('a'))
    const [a] = sendAll(outbox) as [Outgoing]
    outbox.acknowledge(a, 1)
    expect(outbox.pending).toBe(1)
    expect(outbox.receive(receipt('a'))).toBe(a)
    expect(outbox.pending).toBe(0)
  })

  test('is done with a sale whose receipt came before its PUBACK', () => {
    const outbox = new Outbox(20)
    outbox.post(letter('a'))
    const [a] = sendAll(outbox) as [Outgoing]
    outbox.receive(receipt('a'))
    outbox.acknowledge(a, 1)
    expect(outbox.pending).toBe(0)
  })

  test.each(['status', 'garbage'] as const)('is done with a %s at its PUBACK', (kind) => {
    const outbox = new Outbox(20)
    outbox.post(letter('a', kind))
    const [a] = sendAll(outbox) as [Outgoing]
    outbox.acknowledge(a, 1)
    expect(outbox.pending).toBe(0)
  })

  test('sends again in the old order what had no PUBACK when the connection was lost', () => {
    const outbox = new Outbox(3)
    for (const id of ['a', 'b', 'c', 'd']) outbox.post(letter(id))
    const [, b] = sendAll(outbox) as [Outgoing, Outgoing]
    outbox.acknowledge(b, 1)
    outbox.disconnect()
    expect(ids(sendAll(outbox))).toEqual(['a', 'c', 'd'])
  })

  test('does not send again what was answered while it waited', () => {
    const outbox = new Outbox(20)
    outbox.post(letter('a'))
    outbox.post(letter('b'))
    sendAll(outbox)
    outbox.disconnect()
    outbox.receive(receipt('a'))
    expect(ids(sendAll(outbox))).toEqual(['b'])
  })

  test('hands out no more than its window until something is acknowledged', () => {
    const outbox = new Outbox(2)
    for (const id of ['a', 'b', 'c']) outbox.post(letter(id))
    const [a] = sendAll(outbox) as [Outgoing]
    expect(sendAll(outbox)).toEqual([])
    outbox.acknowledge(a, 1)
    expect(ids(sendAll(outbox))).toEqual(['c'])
  })

  test('asks again for a receipt that is late, and only for that one', () => {
    const outbox = new Outbox(20)
    outbox.post(letter('a'))
    outbox.post(letter('b'))
    const [a, b] = sendAll(outbox) as [Outgoing, Outgoing]
    outbox.acknowledge(a, 100)
    outbox.acknowledge(b, 200)
    outbox.askAgain(150)
    expect(ids(sendAll(outbox))).toEqual(['a'])
  })

  test('holds a replay back until its sale is done, and is done with it when told so', () => {
    const outbox = new Outbox(20)
    outbox.post(letter('a'))
    outbox.post(letter('a', 'replay'))
    const [sale, ...others] = sendAll(outbox) as [Outgoing]
    expect(others).toEqual([])
    outbox.acknowledge(sale, 1)
    outbox.receive(receipt('a'))
    const [replay] = sendAll(outbox) as [Outgoing]
    expect(replay.letter.kind).toBe('replay')
    outbox.acknowledge(replay, 2)
    // The receipt of the sale once more: no answer to the replay.
    outbox.receive(receipt('a'))
    expect(outbox.pending).toBe(1)
    outbox.receive(receipt('a', 'replayed'))
    expect(outbox.pending).toBe(0)
  })

  test('loses nothing, whatever comes in whatever order', () => {
    const happening = fc.oneof(
      fc.record({
        what: fc.constant('post' as const),
        kind: fc.constantFrom<Letter['kind']>('sale', 'replay', 'status'),
      }),
      fc.record({ what: fc.constantFrom('send', 'disconnect', 'askAgain' as const) }),
      fc.record({ what: fc.constantFrom('acknowledge', 'receive' as const), which: fc.nat(30) }),
    )
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => {
        const outbox = new Outbox(4)
        const posted: Letter[] = []
        const sent: Outgoing[] = []
        // A PUBACK comes only over the connection its letter was sent on.
        let open: Outgoing[] = []
        const finished = new Set<Letter>()
        const answer = ({ letter: { id, kind } }: Outgoing) => {
          const done = outbox.receive(receipt(id, kind === 'replay' ? 'replayed' : 'registered'))
          if (done !== null) finished.add(done.letter)
        }
        const acknowledge = (outgoing: Outgoing) => {
          outbox.acknowledge(outgoing, 1)
          if (outgoing.letter.kind === 'status') finished.add(outgoing.letter)
        }
        const send = () => {
          const now = sendAll(outbox)
          sent.push(...now)
          open.push(...now)
        }
        for (const happens of happenings) {
          if (happens.what === 'post') {
            const sale = posted.findLast(({ kind }) => kind === 'sale')
            const isReplayed = posted.some(({ kind, id }) => kind === 'replay' && id === sale?.id)
            if (happens.kind === 'replay' && (sale === undefined || isReplayed)) continue
            posted.push(
              letter(happens.kind === 'replay' ? (sale as Letter).id : `${posted.length}`, happens.kind),
            )
            outbox.post(posted.at(-1) as Letter)
          } else if (happens.what === 'send') send()
          else if (happens.what === 'askAgain') outbox.askAgain(2)
          else if (happens.what === 'disconnect') {
            outbox.disconnect()
            open = []
          } else if (happens.what === 'acknowledge') {
            const [outgoing] = open.splice(happens.which % Math.max(1, open.length), 1)
            if (outgoing !== undefined) acknowledge(outgoing)
          } else if (happens.what === 'receive') {
            const outgoing = sent[happens.which % Math.max(1, sent.length)]
            if (outgoing !== undefined && outgoing.letter.kind !== 'status') answer(outgoing)
          }
        }
        // From here on the network is good: everything is sent, acknowledged and answered.
        outbox.disconnect()
        outbox.askAgain(2)
        for (let round = 0; round < 100 && outbox.pending > 0; round++) {
          open = []
          send()
          for (const outgoing of open) acknowledge(outgoing)
          for (const outgoing of open) if (outgoing.letter.kind !== 'status') answer(outgoing)
        }
        expect(outbox.pending).toBe(0)
        expect(new Set(finished)).toEqual(new Set(posted))
      }),
    )
  })
})
