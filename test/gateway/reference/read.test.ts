import { describe, expect, it } from 'vitest'
import type { ReferenceKind } from '../../../gateway/documents.ts'
import { referenceFile } from '../../../gateway/reference/files.ts'
import { ERRORS_MAX, readRows } from '../../../gateway/reference/read.ts'
import { openSheet } from '../../../gateway/reference/sheet.ts'

const HEADERS = {
  dealers: 'dealer_id,name,region,lat,lon,opens,closes,daily_quota,phone',
  reps: 'rep_id,dealer_id,name,phone,language',
  managers: 'manager_id,region,name,phone,language',
  serials: 'serial,model,dealer_id,produced_on',
  prices: 'model,region,msrp,map,valid_from',
} satisfies Record<ReferenceKind, string>

const rules = { serialPattern: /^[A-Z0-9]{6,32}$/ }

/** In pieces of a few bytes, as a slow pipe brings them. */
async function* inPieces(bytes: Buffer, size = 7): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(kind: ReferenceKind, content: string | Buffer) {
  using sheet = openSheet()
  const { errors, errorsTotal } = await readRows(
    inPieces(Buffer.from(content)),
    referenceFile(kind, rules),
    sheet,
    () => {},
  )
  const told = errors.map(({ line, column, expected, received }) => {
    const where = column === null ? `line ${line}` : `line ${line}, ${column}`
    return `${where}: expected ${expected}, received ${received}`
  })
  return { rows: [...sheet.all()].map(({ value }) => value), errors: told, errorsTotal }
}

const readRow = (kind: ReferenceKind, row: string) => read(kind, `${HEADERS[kind]}\n${row}\n`)

describe('a row is taken', () => {
  it.each<[kind: ReferenceKind, row: string, value: object]>([
    [
      'dealers',
      'jkt-01,Dealer Satu,Jakarta,-6.2,106.816,09:00,24:00,12,021 5550 1234',
      {
        dealer_id: 'jkt-01',
        name: 'Dealer Satu',
        region: 'Jakarta',
        lat: -6.2,
        lon: 106.816,
        opens: '09:00',
        closes: '24:00',
        daily_quota: 12,
        phone: '+622155501234',
      },
    ],
    [
      'dealers',
      ' d , "A, B" ,R,0,0,00:00,23:59,,',
      { dealer_id: 'd', name: 'A, B', daily_quota: null, phone: null },
    ],
    [
      'serials',
      'ABC123,EV-1,jkt-01,2026-02-28',
      { model: 'EV-1', dealer_id: 'jkt-01', produced_on: '2026-02-28' },
    ],
    [
      'reps',
      'rep-7,jkt-01,Sari,0812 3456 7890,id',
      { rep_id: 'rep-7', dealer_id: 'jkt-01', name: 'Sari', phone: '+6281234567890', language: 'id' },
    ],
    [
      'managers',
      'm1,Jakarta,Budi,+6281234567891,en',
      { manager_id: 'm1', region: 'Jakarta', phone: '+6281234567891', language: 'en' },
    ],
    ['serials', 'ABC123,EV-1,,', { model: 'EV-1', dealer_id: null, produced_on: null }],
    [
      'prices',
      'EV-1,Bali,28500000,27000000,2026-01-01',
      { region: 'Bali', msrp: 28_500_000, map: 27_000_000, valid_from: '2026-01-01' },
    ],
    ['prices', 'EV-1,,0,0,2024-02-29', { region: null, msrp: 0, map: 0, valid_from: '2024-02-29' }],
  ])('%s: %s', async (kind, row, value) => {
    const { rows, errors } = await readRow(kind, row)
    expect(errors).toEqual([])
    expect(rows).toEqual([expect.objectContaining(value)])
  })
})

describe('what rows say together is checked too', () => {
  it('days on which a dealer is closed are weekdays and dates', async () => {
    const header = `${HEADERS.dealers},closed_on`
    const row = 'd1,N,R,0,0,09:00,17:00,,'
    expect((await read('dealers', `${header}\n${row},Sun; 2026-12-25\n`)).errors).toEqual([])
    expect((await read('dealers', `${header}\n${row},sunday\n`)).errors).toEqual([
      'line 2, closed_on: expected weekdays and dates, such as sun;2026-12-25, received "sunday"',
    ])
  })

  it('no two reps have one number', async () => {
    const rows = ['r1,D1,N,0812 3456 7890,id', 'r2,D1,N,+6281234567890,en']
    expect((await read('reps', `${HEADERS.reps}\n${rows.join('\n')}\n`)).errors).toEqual([
      'line 3, phone: expected a number that no other rep of this file has, received "+6281234567890"',
    ])
  })
})

describe('a row is refused, with its line, its column, what was expected and what came', () => {
  it.each<[kind: ReferenceKind, row: string, error: string]>([
    ['reps', 'r 1,D1,N,0812 3456 7890,id', 'line 2, rep_id: expected an id'],
    ['reps', 'r1,D1,N,12,id', 'line 2, phone: expected a phone number'],
    ['managers', 'm1,Bali,N,0812 3456 7890,fr', 'line 2, language: expected one of id, en, received "fr"'],
    ['dealers', 'a/b,N,R,0,0,09:00,17:00,,', "line 2, dealer_id: expected a dealer's id"],
    ['dealers', 'portal,N,R,0,0,09:00,17:00,,', 'not portal, bridge, live, internal, hq, received "portal"'],
    [
      'dealers',
      'd,,R,0,0,09:00,17:00,,',
      'line 2, name: expected a text of at most 200 characters, received nothing',
    ],
    [
      'dealers',
      'd,N,R,91,0,09:00,17:00,,',
      'line 2, lat: expected a number from -90 to 90, with a decimal point, received "91"',
    ],
    ['dealers', 'd,N,R,0,1e2,09:00,17:00,,', 'line 2, lon: expected a number from -180 to 180'],
    [
      'dealers',
      'd,N,R,0,0,9:00,17:00,,',
      'line 2, opens: expected a time of day such as 09:00, received "9:00"',
    ],
    ['dealers', 'd,N,R,0,0,09:00,24:01,,', 'line 2, closes: expected a time of day'],
    [
      'dealers',
      'd,N,R,0,0,09:00,17:00,-1,',
      'line 2, daily_quota: expected a whole number without separators',
    ],
    ['dealers', 'd,N,R,0,0,09:00,17:00,,12', 'line 2, phone: expected a phone number such as'],
    [
      'serials',
      'abc123,EV-1,,',
      'line 2, serial: expected a serial matching ^[A-Z0-9]{6,32}$, received "abc123"',
    ],
    [
      'serials',
      'ABC123,EV-1,,2026-02-30',
      'line 2, produced_on: expected a date such as 2026-11-22, received "2026-02-30"',
    ],
    ['serials', 'ABC123,EV-1,,22/11/2026', 'line 2, produced_on: expected a date'],
    ['serials', 'ABC123,EV-1,', 'line 2: expected 4 columns, as in the header, received 3'],
    [
      'prices',
      'EV-1,,28.500.000,0,2026-01-01',
      'line 2, msrp: expected a whole number without separators, such as 28500000',
    ],
    ['prices', 'EV-1,,1,9999999999999,2026-01-01', 'line 2, map: expected a whole number'],
    ['prices', 'EV-1,,1,1,', 'line 2, valid_from: expected a date such as 2026-11-22, received nothing'],
  ])('%s: %s → %s', async (kind, row, error) => {
    const { rows, errors } = await readRow(kind, row)
    expect(errors).toEqual([expect.stringContaining(error)])
    expect(rows).toEqual([])
  })
})

describe('a file is refused', () => {
  it.each<[what: string, content: string | Buffer, errors: string[]]>([
    [
      'nothing in it',
      '',
      ['line 1: expected a header: serial,model,dealer_id,produced_on, received nothing'],
    ],
    ['no rows', `${HEADERS.serials}\n\n`, ['line 2: expected at least one row, received nothing']],
    [
      'two columns missing',
      'serial,dealer\nABC123,x\n',
      [
        'line 1, model: expected this column in the header, received "serial,dealer"',
        'line 1, dealer_id: expected this column in the header, received "serial,dealer"',
        'line 1, produced_on: expected this column in the header, received "serial,dealer"',
      ],
    ],
    [
      'a column twice',
      `${HEADERS.serials},model\nABC123,EV-1,,,EV-2\n`,
      ['line 1, model: expected this column once, received "serial,model,dealer_id,produced_on,model"'],
    ],
    [
      'a column without a name',
      `${HEADERS.serials},\nABC123,EV-1,,,x\n`,
      ['line 1: expected a name for every column, received "serial,model,dealer_id,produced_on,"'],
    ],
    [
      'semicolons for commas',
      'serial;model;dealer_id;produced_on\nABC123;EV-1;;\n',
      ['line 1: expected commas between the columns, received "serial;model;dealer_id;produced_on"'],
    ],
    [
      'Latin-1 for UTF-8',
      Buffer.from(`${HEADERS.serials}\nABC123,Motor é,,\n`, 'latin1'),
      ['line 2, model: expected text in UTF-8, received "Motor \uFFFD"'],
    ],
    [
      'a quote that is never closed',
      `${HEADERS.serials}\nABC123,"EV-1,,\nABC124,EV-1,,\n`,
      ['line 3: expected a closing quote, received the end of the file'],
    ],
    [
      'a quote that is never closed, in a long file',
      `${HEADERS.serials}\nABC123,"EV-1,,\n${'ABC124,EV-1,,\n'.repeat(10_000)}`,
      ['expected at most 65536 bytes in one row, received more; perhaps a quote is not closed'],
    ],
    [
      'a quote inside a value',
      `${HEADERS.serials}\nABC123,EV 10",,\n`,
      ['line 2: expected a quote only at the beginning of a value'],
    ],
    [
      'text after a closing quote',
      `${HEADERS.serials}\nABC123,"EV"1,,\n`,
      ['line 2: expected well-formed CSV'],
    ],
    [
      'a row twice: both lines are named',
      `${HEADERS.serials}\nABC123,EV-1,,\nABC124,EV-1,,\nABC123,EV-2,,\nABC123,EV-1,,\n`,
      [
        'line 4: expected each row once, received ABC123 again, as in line 2',
        'line 5: expected each row once, received ABC123 again, as in line 4',
      ],
    ],
  ])('%s', async (_, content, errors) => {
    const result = await read('serials', content)
    expect(result.errors).toEqual(errors.map((error) => expect.stringContaining(error)))
  })
})

it('a price may stand twice for a model, but not for one region and day', async () => {
  const rows = ['EV-1,Bali,2,1,2026-01-01', 'EV-1,,2,1,2026-01-01', 'EV-1,Bali,2,1,2026-02-01']
  expect((await read('prices', [HEADERS.prices, ...rows].join('\n'))).errors).toEqual([])
  const again = await read('prices', [HEADERS.prices, ...rows, 'EV-1,,9,9,2026-01-01'].join('\n'))
  expect(again.errors).toEqual([
    'line 5: expected each row once, received ["EV-1",null,"2026-01-01"] again, as in line 3',
  ])
})

it('every wrong row of a file is told, by line, up to a bound and then by their number', async () => {
  const wrong = Array.from({ length: 250 }, (_, i) => `bad-${i},EV-1,,`)
  const { errors, errorsTotal } = await read('serials', [HEADERS.serials, ...wrong].join('\n'))
  expect(errorsTotal).toBe(250)
  expect(errors).toHaveLength(ERRORS_MAX)
  expect(errors[0]).toMatch(/^line 2, serial/)
  expect(errors.at(-1)).toMatch(/^line 101, serial/)
})

it('lines are counted as an editor does: quoted line breaks, blank lines and any line ending', async () => {
  const lines = [HEADERS.serials, 'ABC123,"EV\n1",,', '', ',,,', 'bad,EV-1,,']
  for (const ending of ['\n', '\r\n']) {
    const { errors } = await read('serials', lines.join(ending))
    expect(errors).toEqual([expect.stringMatching(/^line 6, serial/)])
  }
})

it('a byte order mark, and columns in another order, are no matter', async () => {
  const { rows, errors } = await read('serials', '\uFEFFproduced_on,model,serial,dealer_id\n,EV-1,ABC123,\n')
  expect(errors).toEqual([])
  expect(rows).toEqual([{ model: 'EV-1', dealer_id: null, produced_on: null }])
})

it('columns nobody asked for are kept as attributes, where they say something', async () => {
  const header = `${HEADERS.serials},colour,__proto__,note`
  const some = await read('serials', `${header}\nABC123,EV-1,,,red,x,\n`)
  const attributes = (some.rows[0] as { attributes: object }).attributes
  expect(Object.entries(attributes)).toEqual([
    ['colour', 'red'],
    ['__proto__', 'x'],
  ])
  const none = await read('serials', `${header}\nABC123,EV-1,,,,,\n`)
  expect(none.rows).toEqual([{ model: 'EV-1', dealer_id: null, produced_on: null }])
})
