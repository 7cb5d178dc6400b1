/** A binary heap of node indexes, best score first and of equal ones the first by index, in two typed arrays. */
export class NodeHeap {
  readonly #scores: Float64Array
  readonly #nodes: Int32Array
  #size = 0
  /** Comparisons made, for the test of the complexity. */
  comparisons = 0

  constructor(capacity: number) {
    this.#scores = new Float64Array(capacity)
    this.#nodes = new Int32Array(capacity)
  }

  get size(): number {
    return this.#size
  }

  /** The best node; -1 when there is none. */
  get first(): number {
    return this.#size === 0 ? -1 : this.#nodes[0]!
  }

  get firstScore(): number {
    return this.#scores[0]!
  }

  clear(): void {
    this.#size = 0
  }

  /** Puts one at the end; call `order` once all are there. */
  add(node: number, score: number): void {
    this.#nodes[this.#size] = node
    this.#scores[this.#size] = score
    this.#size += 1
  }

  order(): void {
    for (let at = (this.#size >> 1) - 1; at >= 0; at--) this.#sink(at, this.#nodes[at]!, this.#scores[at]!)
  }

  /** The first node's score has become this: it goes where it belongs. */
  changeFirst(score: number): void {
    this.#sink(0, this.#nodes[0]!, score)
  }

  removeFirst(): void {
    this.#size -= 1
    if (this.#size > 0) this.#sink(0, this.#nodes[this.#size]!, this.#scores[this.#size]!)
  }

  #sink(start: number, node: number, score: number): void {
    const scores = this.#scores
    const nodes = this.#nodes
    const size = this.#size
    let at = start
    for (;;) {
      let child = 2 * at + 1
      if (child >= size) break
      let childScore = scores[child]!
      if (child + 1 < size) {
        this.comparisons += 1
        const other = scores[child + 1]!
        if (other < childScore || (other === childScore && nodes[child + 1]! < nodes[child]!)) {
          child += 1
          childScore = other
        }
      }
      this.comparisons += 1
      if (score < childScore || (score === childScore && node < nodes[child]!)) break
      scores[at] = childScore
      nodes[at] = nodes[child]!
      at = child
    }
    scores[at] = score
    nodes[at] = node
  }
}
