/**
 * Items in order of time; those of one instant come out in the order they went in. A binary heap.
 */
interface Slot<Item> {
  readonly atMs: number
  readonly order: number
  readonly item: Item
}

export class TimeQueue<Item> {
  readonly #heap: Slot<Item>[] = []
  #order = 0

  push(atMs: number, item: Item): void {
    const heap = this.#heap
    const slot = { atMs, order: this.#order++, item }
    let index = heap.length
    heap.push(slot)
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = heap[parentIndex] as Slot<Item>
      if (!isBefore(slot, parent)) break
      heap[index] = parent
      index = parentIndex
    }
    heap[index] = slot
  }

  pop(): { atMs: number; item: Item } | null {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined) return null
    if (heap.length === 0) return first
    let index = 0
    for (;;) {
      let childIndex = 2 * index + 1
      if (childIndex >= heap.length) break
      const right = heap[childIndex + 1]
      if (right !== undefined && isBefore(right, heap[childIndex] as Slot<Item>)) childIndex++
      const child = heap[childIndex] as Slot<Item>
      if (!isBefore(child, last)) break
      heap[index] = child
      index = childIndex
    }
    heap[index] = last
    return first
  }
}

const isBefore = <Item>(a: Slot<Item>, b: Slot<Item>): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
