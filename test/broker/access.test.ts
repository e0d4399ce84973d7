import { describe, expect, test } from 'vitest'
import { type Action, checkLogin, rightsOf } from '../../broker/access.ts'
import type { Principal } from '../../broker/broker.ts'
import { LIMITS } from '../../broker/limits.ts'

const device: Principal = { kind: 'device', id: 'JKT-01/POS-1', dealer: 'JKT-01', device: 'POS-1' }
const api = (role: string): Principal => ({ kind: 'api', id: 't1', role })

const who: Record<string, Principal> = {
  device,
  admin: api('admin'),
  analyst: api('analyst'),
  manager: api('manager'),
  'bridge:meta': api('bridge:meta'),
  'dealer:D1': api('dealer:D1'),
}

const own = 'hub/v1/JKT-01/POS-1'

describe('the table of rights', () => {
  test.each<[string, Action, string, boolean]>([
    ['device', 'publish', `${own}/sale`, true],
    ['device', 'publish', `${own}/status`, true],
    ['device', 'publish', `${own}/health`, true],
    ['device', 'publish', `${own}/receipt`, false],
    ['device', 'publish', `${own}/command`, false],
    ['device', 'publish', `${own}/other`, false],
    ['device', 'publish', `${own}/sale/more`, false],
    ['device', 'publish', own, false],
    ['device', 'publish', 'hub/v1/JKT-01/POS-2/sale', false],
    ['device', 'publish', 'hub/v1/JKT-01/sale', false],
    ['device', 'publish', 'hub/v1/live/sales', false],
    ['device', 'publish', 'hub/v1/portal/JKT-01/spend', false],
    ['device', 'publish', 'hub/v1/bridge/meta/inbound', false],
    ['device', 'publish', 'test/free', false],
    ['device', 'publish', '$SYS/x/new/clients', false],
    ['device', 'subscribe', `${own}/receipt`, true],
    ['device', 'subscribe', `${own}/command`, true],
    ['device', 'subscribe', `${own}/#`, true],
    ['device', 'subscribe', `${own}/+`, true],
    ['device', 'subscribe', '#', false],
    ['device', 'subscribe', 'hub/v1/JKT-01/+/receipt', false],
    ['device', 'subscribe', 'hub/v1/+/POS-1/receipt', false],
    ['device', 'subscribe', 'hub/v1/JKT-01/#', false],
    ['device', 'subscribe', 'hub/v1/SBY-02/POS-1/receipt', false],
    ['device', 'subscribe', 'hub/v1/live/sales', false],
    ['device', 'subscribe', '$SYS/#', false],
    ['device', 'will', `${own}/health`, true],
    ['device', 'will', `${own}/sale`, false],
    ['device', 'will', `${own}/status`, false],
    ['device', 'will', 'hub/v1/SBY-02/POS-1/health', false],
    ['device', 'will', 'test/free', false],

    ['dealer:D1', 'publish', 'hub/v1/portal/D1/spend', true],
    ['dealer:D1', 'publish', 'hub/v1/portal/D1/activity', true],
    ['dealer:D1', 'publish', 'hub/v1/portal/D1/lead', true],
    ['dealer:D1', 'publish', 'hub/v1/portal/D2/spend', false],
    ['dealer:D1', 'publish', 'hub/v1/portal/hq/spend', false],
    ['dealer:D1', 'publish', 'hub/v1/internal/void', false],
    ['dealer:D1', 'subscribe', 'hub/v1/live/sales', false],
    ['admin', 'publish', 'hub/v1/internal/void', false],
    ['admin', 'publish', 'hub/v1/portal/hq/spend', false],

    ['admin', 'subscribe', '#', true],
    ['admin', 'subscribe', 'hub/#', true],
    ['admin', 'subscribe', `${own}/receipt`, true],
    ['admin', 'subscribe', '$SYS/#', true],
    ['admin', 'subscribe', 'test/+', true],
    ['admin', 'subscribe', 'test/nosubscribe', false],
    ['admin', 'publish', 'test/nosubscribe', true],
    ['admin', 'publish', 'TopicA/B', true],
    ['admin', 'publish', '/TopicA', true],
    ['admin', 'publish', '$TopicA/B', true],
    ['admin', 'publish', 'hub', true],
    ['admin', 'publish', 'hub/', false],
    ['admin', 'publish', 'hub/v1/live/sales', false],
    ['admin', 'publish', `${own}/sale`, false],
    ['admin', 'publish', '$SYS/x/new/clients', false],
    ['admin', 'will', 'TopicA/B', true],
    ['admin', 'will', `${own}/health`, false],

    ['analyst', 'subscribe', 'hub/v1/live/#', true],
    ['analyst', 'subscribe', 'hub/v1/live/sales', true],
    ['analyst', 'subscribe', 'hub/v1/live/+', true],
    ['analyst', 'subscribe', 'hub/v1/#', false],
    ['analyst', 'subscribe', '#', false],
    ['analyst', 'publish', 'hub/v1/live/sales', false],
    ['analyst', 'publish', 'test/free', false],
    ['manager', 'subscribe', 'hub/v1/live/#', true],
    ['manager', 'subscribe', `${own}/receipt`, false],

    ['bridge:meta', 'publish', 'hub/v1/bridge/meta/inbound', true],
    ['bridge:meta', 'publish', 'hub/v1/bridge/meta/status', true],
    ['bridge:meta', 'publish', 'hub/v1/bridge/meta/outbound', false],
    ['bridge:meta', 'publish', 'hub/v1/bridge/qontak/inbound', false],
    ['bridge:meta', 'subscribe', 'hub/v1/bridge/meta/outbound', true],
    ['bridge:meta', 'subscribe', 'hub/v1/bridge/+/outbound', false],
    ['bridge:meta', 'subscribe', 'hub/v1/live/#', false],
    ['bridge:meta', 'will', 'hub/v1/bridge/meta/status', false],
  ])('%s may %s %s: %s', (name, action, topicOrFilter, expected) => {
    const rights = rightsOf(who[name] as Principal, LIMITS)
    expect(rights?.may(action, topicOrFilter)).toBe(expected)
  })

  test.each([
    'device',
    'device:JKT-01/POS-1',
    'device:POS-1',
    'bridge:',
    'bridge',
    'bridge:+',
    'bridge:a/b',
    'admin:x/y',
    '',
  ])('a token of role %j has no rights on MQTT', (role) => expect(rightsOf(api(role), LIMITS)).toBeNull())

  test.each<
    [string, { retain: boolean; payloadBytesMax: number; mailboxes: string[]; hearsOthers: boolean }]
  >([
    [
      'device',
      {
        retain: false,
        payloadBytesMax: 65_536,
        mailboxes: [`${own}/receipt`, `${own}/command`],
        hearsOthers: false,
      },
    ],
    [
      'bridge:meta',
      {
        retain: false,
        payloadBytesMax: 1_048_576,
        mailboxes: ['hub/v1/bridge/meta/outbound'],
        hearsOthers: false,
      },
    ],
    ['admin', { retain: true, payloadBytesMax: 1_048_576, mailboxes: [], hearsOthers: true }],
    ['analyst', { retain: false, payloadBytesMax: 1_048_576, mailboxes: [], hearsOthers: true }],
  ])('%s: retained messages, payload, mailboxes', (name, expected) => {
    expect(rightsOf(who[name] as Principal, LIMITS)).toMatchObject(expected)
  })
})

describe('the form of a login', () => {
  const secret = new Uint8Array([1])
  test.each<[string, Parameters<typeof checkLogin>[0], number | null]>([
    [
      'a device by password',
      { clientId: 'D/X', username: 'D/X', password: secret, certificateName: null },
      null,
    ],
    [
      'a device by certificate',
      { clientId: 'D/X', username: null, password: null, certificateName: 'D/X' },
      null,
    ],
    [
      'a device by certificate that also names itself',
      { clientId: 'D/X', username: 'D/X', password: null, certificateName: 'D/X' },
      null,
    ],
    [
      'another device’s name than the certificate’s',
      { clientId: 'D/Y', username: 'D/Y', password: null, certificateName: 'D/X' },
      4,
    ],
    [
      'another client id than the username',
      { clientId: 'D/Y', username: 'D/X', password: secret, certificateName: null },
      2,
    ],
    [
      'another client id than the certificate',
      { clientId: 'D/Y', username: null, password: null, certificateName: 'D/X' },
      2,
    ],
    [
      'a device without a password',
      { clientId: 'D/X', username: 'D/X', password: null, certificateName: null },
      4,
    ],
    ['nobody', { clientId: 'x', username: null, password: null, certificateName: null }, 5],
    [
      'a username that is no device',
      { clientId: 'bob', username: 'bob', password: secret, certificateName: null },
      4,
    ],
    [
      'a reserved dealer name',
      { clientId: 'live/x', username: 'live/x', password: secret, certificateName: null },
      4,
    ],
    ['a program', { clientId: 'any thing', username: 'api', password: secret, certificateName: null }, null],
    [
      'a program without a client id',
      { clientId: '', username: 'api', password: secret, certificateName: null },
      null,
    ],
    [
      'a program with a device’s client id',
      { clientId: 'D/X', username: 'api', password: secret, certificateName: null },
      2,
    ],
    [
      'a program without a token',
      { clientId: 'a', username: 'api', password: null, certificateName: null },
      4,
    ],
    [
      'a client id with control characters',
      { clientId: 'a\u0000', username: 'api', password: secret, certificateName: null },
      2,
    ],
  ])('%s', (_title, credentials, returnCode) => {
    expect(checkLogin(credentials)?.returnCode ?? null).toBe(returnCode)
  })
})
