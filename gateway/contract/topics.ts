/**
 * The topics outsiders speak (CONTRACT, «Topics»), as functions from names to topics and back.
 *
 *   device topic   hub/v1/{dealer}/{device}/{sale|status|health|receipt|command}
 *   portal topic   hub/v1/portal/{dealer}/{spend|activity|lead}
 *   bridge topic   hub/v1/bridge/{bridge}/{inbound|outbound|status}
 *   live topic     hub/v1/live/{leads|sales|alerts|devices}
 *   internal       hub/v1/internal/{timer|sold|unsold|void}: what the hub tells itself; nobody else may publish there
 *
 * `portal`, `bridge`, `live`, `internal` and `hq` (the head office's portal) are therefore reserved: no dealer may bear these names.
 */

export const ROOT = 'hub/v1'

/** What a device publishes, and what it receives. */
export const DEVICE_UPLINKS = ['sale', 'status', 'health'] as const
export const DEVICE_DOWNLINKS = ['receipt', 'command'] as const
export const LIVE_FEEDS = ['leads', 'sales', 'alerts', 'devices'] as const
export const RESERVED_DEALERS = ['portal', 'bridge', 'live', 'internal', 'hq'] as const
export const PORTAL_KINDS = ['spend', 'activity', 'lead'] as const
/** Who sends what no dealer sends: forms and advertisements of the head office. */
export const HEAD_OFFICE = 'hq'

export type DeviceUplink = (typeof DEVICE_UPLINKS)[number]
export type DeviceDownlink = (typeof DEVICE_DOWNLINKS)[number]
export type LiveFeed = (typeof LIVE_FEEDS)[number]

/** A dealer's or device's name is one topic level: no separators, wildcards or control characters. */
export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** One piece of hardware: its MQTT client id and username are `{dealer}/{device}`. */
export interface DeviceName {
  readonly dealer: string
  readonly device: string
}

export const deviceId = ({ dealer, device }: DeviceName): string => `${dealer}/${device}`

/** `{dealer}/{device}` → its parts, or null when it is not a device's name. */
export function parseDeviceId(id: string): DeviceName | null {
  const [dealer, device, ...rest] = id.split('/')
  if (dealer === undefined || device === undefined || rest.length > 0) return null
  if (!NAME_PATTERN.test(dealer) || !NAME_PATTERN.test(device)) return null
  if ((RESERVED_DEALERS as readonly string[]).includes(dealer)) return null
  return { dealer, device }
}

export const deviceTopic = (name: DeviceName, kind: DeviceUplink | DeviceDownlink): string =>
  `${ROOT}/${deviceId(name)}/${kind}`

export const portalTopic = (dealer: string, kind: (typeof PORTAL_KINDS)[number]): string =>
  `${ROOT}/portal/${dealer}/${kind}`

export const INTERNAL_KINDS = ['timer', 'sold', 'unsold', 'void'] as const
export const internalTopic = (kind: (typeof INTERNAL_KINDS)[number]): string => `${ROOT}/internal/${kind}`

export const liveTopic = (feed: LiveFeed): string => `${ROOT}/live/${feed}`

export interface DeviceTopic extends DeviceName {
  readonly kind: string
}

/** `hub/v1/{dealer}/{device}/{kind}` → its parts, or null when it is another kind of topic. */
export function parseDeviceTopic(topic: string): DeviceTopic | null {
  const [hub, version, dealer, device, kind, ...rest] = topic.split('/')
  if (`${hub}/${version}` !== ROOT || kind === undefined || rest.length > 0) return null
  const name = parseDeviceId(`${dealer}/${device}`)
  return name === null ? null : { ...name, kind }
}

/** `hub/v1/bridge/{bridge}/{kind}` → its parts, or null when it is another kind of topic. */
export function parseBridgeTopic(topic: string): { bridge: string; kind: string } | null {
  const [hub, version, root, bridge, kind, ...rest] = topic.split('/')
  if (`${hub}/${version}` !== ROOT || root !== 'bridge' || kind === undefined || rest.length > 0) return null
  return bridge !== undefined && NAME_PATTERN.test(bridge) ? { bridge, kind } : null
}
