import { createHmac } from 'node:crypto'
import { expect, it } from 'vitest'
import { isSameSecret, isSigned } from '../../../../gateway/bridges/meta/signature.ts'

const SECRET = 'app-secret'
const BODY = Buffer.from('{"text":"Gr\\u00f6\\u00dfe \\ud83d\\ude4f"}')
const hex = (body: Uint8Array, secret = SECRET) => createHmac('sha256', secret).update(body).digest('hex')

it('what Meta signed is accepted', () => {
  expect(isSigned(BODY, `sha256=${hex(BODY)}`, SECRET)).toBe(true)
})

it.each<[string, unknown]>([
  ['no header', undefined],
  ['two headers', [`sha256=${hex(BODY)}`]],
  ['an empty header', ''],
  ['another secret', `sha256=${hex(BODY, 'verify-token')}`],
  ['another body', `sha256=${hex(Buffer.from('{}'))}`],
  [
    'the body, written again after a parse',
    `sha256=${hex(Buffer.from(JSON.stringify(JSON.parse(String(BODY)))))}`,
  ],
  ['upper case', `sha256=${hex(BODY).toUpperCase()}`],
  ['without its prefix', hex(BODY)],
  ['SHA-1', `sha1=${createHmac('sha1', SECRET).update(BODY).digest('hex')}`],
  ['cut short', `sha256=${hex(BODY).slice(0, 63)}`],
  ['followed by more', `sha256=${hex(BODY)}0`],
  ['no hex', `sha256=${'z'.repeat(64)}`],
  ['one digit other', `sha256=${hex(BODY).replace(/^./, (digit) => (digit === '0' ? '1' : '0'))}`],
])('%s is refused', (_, header) => {
  expect(isSigned(BODY, header, SECRET)).toBe(false)
})

it('secrets are the same, or not, whatever their lengths', () => {
  expect(isSameSecret('abc', 'abc')).toBe(true)
  for (const other of ['', 'ab', 'abd', 'abcd']) expect(isSameSecret(other, 'abc')).toBe(false)
})
