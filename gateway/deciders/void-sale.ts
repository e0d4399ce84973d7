/**
 * A registered sale is taken back, by somebody at the head office. The serial may be sold again after it; the sale that
 * was voided, sent once more by its terminal, is still known and answered as it was.
 */
import type { EconomicsEntry } from '../contract/economics.ts'
import type { VoidSale } from '../decode/internal.ts'
import { type SerialHolder, serialKey } from '../documents.ts'
import { shardOfKey } from '../store/keys.ts'
import type { Json } from '../store/store.ts'
import { type Decider, type Decision, type Docs, type Keys, NOTHING } from './decision.ts'

export const voidSaleDecider: Decider<VoidSale, 'serial'> = {
  keys: ({ facts }) => ({ serial: serialKey(facts.serial) }),
  reads: ['serial'],
  readsAgain: ['serial'],
  decide,
}

function decide(
  { facts }: VoidSale,
  { serial: doc }: Docs<'serial'>,
  { serial: key }: Keys<'serial'>,
): Decision {
  const holder = doc?.value as SerialHolder | undefined
  if (doc === null || holder === undefined) return NOTHING
  if (holder.voided === facts.sale) return { ...NOTHING, reply: { voided: facts.sale } }
  if (holder.voided !== undefined || doc.entry !== facts.sale) return NOTHING
  const value: SerialHolder = { ...holder, voided: facts.sale }
  return {
    proposals: [
      {
        shard: shardOfKey(key),
        check: [{ key, version: doc.version }],
        set: [{ key, value: value as unknown as Json }],
        append: [
          { stream: 'ledger', type: 'sale.voided', data: facts satisfies EconomicsEntry<'sale.voided'> },
        ],
      },
    ],
    receipt: null,
    reply: { voided: facts.sale },
  }
}
