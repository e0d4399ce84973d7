/**
 * What Aedes' parser lets through and must not: a packet is refused by the length it claims, before its body is
 * buffered, and by rules of MQTT 3.1.1 that mqtt-packet does not check.
 */
import type { Client } from 'aedes'
import type { Packet } from 'mqtt-packet'
import { parserOf } from './aedes-internals.ts'
import { Refusal } from './refusal.ts'

/**
 * Puts the guard between a new client's socket and Aedes.
 *
 * @param packetBytesMax by kind of packet; asked anew each time, since logging in changes it
 */
export function guardPackets(client: Client, packetBytesMax: (cmd: Packet['cmd']) => number): void {
  const parser = parserOf(client)

  const parseLength = parser._parseLength
  parser._parseLength = () => {
    if (!parseLength.call(parser)) return false
    const { cmd, length } = parser.packet
    if (length <= packetBytesMax(cmd)) return true
    parser._emitError(new Refusal('packet_too_large', `${cmd} of ${length} bytes`))
    return false
  }

  const [handle] = parser.listeners('packet') as [(packet: Packet) => void]
  parser.removeAllListeners('packet')
  parser.on('packet', (packet: Packet) => {
    const broken = brokenRule(packet, parser._pos)
    if (broken === null) handle.call(parser, packet)
    else parser.emit('error', new Refusal('protocol', broken))
  })
}

/** The rule that a parsed packet breaks, or null. `end`: how many bytes the parser took to read it. */
function brokenRule(packet: Packet, end: number): string | null {
  switch (packet.cmd) {
    case 'publish':
      if (packet.length !== undefined && end > packet.length) return 'publish: shorter than its own header'
      if (packet.qos === 0) return packet.dup ? 'publish: DUP at QoS 0 [MQTT-3.3.1-2]' : null
      return hasId(packet) ? null : 'publish: packet identifier 0 [MQTT-2.3.1-1]'
    case 'subscribe':
      if (!hasId(packet)) return 'subscribe: packet identifier 0 [MQTT-2.3.1-1]'
      return packet.subscriptions.length > 0 ? null : 'subscribe: no filter [MQTT-3.8.3-3]'
    case 'unsubscribe':
      if (!hasId(packet)) return 'unsubscribe: packet identifier 0 [MQTT-2.3.1-1]'
      return packet.unsubscriptions.length > 0 ? null : 'unsubscribe: no filter [MQTT-3.10.3-2]'
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp':
      return hasId(packet) ? null : `${packet.cmd}: without packet identifier`
    case 'connack':
    case 'suback':
    case 'unsuback':
    case 'pingresp':
      return `${packet.cmd}: a server's packet`
    default:
      return null
  }
}

const hasId = (packet: { messageId?: number }): boolean =>
  packet.messageId !== undefined && packet.messageId > 0
