/**
 * What a CONNECT must be beyond what mqtt-packet checks (MQTT 3.1.1 §3.1). Pure. Clients of MQTT 5 are answered by Aedes
 * itself: CONNACK 1, «unacceptable protocol version».
 */
import type { ConnectPacket } from 'aedes'
import { ConnectRefusal, Refusal } from './refusal.ts'
import { isTopic } from './topic-filters.ts'

/** @returns what to refuse it with: a `ConnectRefusal` has a CONNACK, any other is a protocol error without an answer */
export function checkConnect(packet: ConnectPacket & { bridgeMode?: boolean }): Refusal | null {
  if (packet.protocolVersion === 5) return null
  const malformed = (message: string) => new Refusal('malformed_connect', message)
  if (packet.bridgeMode) return malformed('bridge bit in the protocol level [MQTT-3.1.2-2]')
  if ((packet.protocolVersion === 3) !== (packet.protocolId === 'MQIsdp')) {
    return malformed('protocol name and level do not match [MQTT-3.1.2-1]')
  }
  if (packet.password !== undefined && packet.username === undefined) {
    return malformed('password without username [MQTT-3.1.2-22]')
  }
  if (packet.will !== undefined) {
    // mqtt-packet reads two bits, and so a 3 too.
    if ((packet.will.qos as number) > 2) return malformed('will of QoS 3 [MQTT-3.1.2-14]')
    if (!isTopic(packet.will.topic)) return malformed('will topic is no topic [MQTT-3.1.3-10]')
  }
  if (packet.clientId === '' && !packet.clean) {
    return new ConnectRefusal('identifier', 'no client id, and yet a session to keep [MQTT-3.1.3-8]')
  }
  return null
}
