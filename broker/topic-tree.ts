/** Who subscribed what: filters in a tree by level, so that a message finds its subscribers without asking each. */
import type { Qos } from './socket-writer.ts'

interface Node<Subscriber> {
  readonly children: Map<string, Node<Subscriber>>
  readonly subscribers: Map<Subscriber, Qos>
}

const emptyNode = <Subscriber>(): Node<Subscriber> => ({ children: new Map(), subscribers: new Map() })

export class TopicTree<Subscriber> {
  readonly #root = emptyNode<Subscriber>()
  #size = 0

  /** Subscriptions held. */
  get size(): number {
    return this.#size
  }

  /** Adds a subscription or changes its QoS. */
  add(filter: string, subscriber: Subscriber, qos: Qos): void {
    let node = this.#root
    for (const level of filter.split('/')) {
      let child = node.children.get(level)
      if (child === undefined) {
        child = emptyNode()
        node.children.set(level, child)
      }
      node = child
    }
    if (!node.subscribers.has(subscriber)) this.#size++
    node.subscribers.set(subscriber, qos)
  }

  remove(filter: string, subscriber: Subscriber): void {
    const levels = filter.split('/')
    const path = [this.#root]
    for (const level of levels) {
      const child = path.at(-1)?.children.get(level)
      if (child === undefined) return
      path.push(child)
    }
    if (!path.at(-1)?.subscribers.delete(subscriber)) return
    this.#size--
    for (let i = levels.length; i > 0; i--) {
      const node = path[i] as Node<Subscriber>
      if (node.children.size > 0 || node.subscribers.size > 0) return
      path[i - 1]?.children.delete(levels[i - 1] as string)
    }
  }

  /** Whoever gets a message on `topic`, each once, with the highest QoS of the matching filters [MQTT-3.3.5-1]. */
  match(topic: string): Map<Subscriber, Qos> {
    const found = new Map<Subscriber, Qos>()
    this.#collect(this.#root, topic.split('/'), 0, found)
    return found
  }

  #collect(node: Node<Subscriber>, levels: string[], at: number, found: Map<Subscriber, Qos>): void {
    // A wildcard in front does not match topics that begin with $ [MQTT-4.7.2-1].
    const wildcards = at > 0 || !levels[0]?.startsWith('$')
    if (wildcards) take(node.children.get('#'), found)
    if (at === levels.length) {
      take(node, found)
      return
    }
    const exact = node.children.get(levels[at] as string)
    if (exact !== undefined) this.#collect(exact, levels, at + 1, found)
    const any = wildcards ? node.children.get('+') : undefined
    if (any !== undefined) this.#collect(any, levels, at + 1, found)
  }
}

function take<Subscriber>(node: Node<Subscriber> | undefined, found: Map<Subscriber, Qos>): void {
  if (node === undefined) return
  for (const [subscriber, qos] of node.subscribers) {
    const before = found.get(subscriber)
    if (before === undefined || before < qos) found.set(subscriber, qos)
  }
}
