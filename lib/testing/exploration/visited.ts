/**
 * The states that were seen, by a hash of 64 bits, and the way to each: the state before it and the number of the step. A state takes about
 * 30 bytes. That two states have one hash is unlikely (for ten million states, one in 300,000), and hides the second of them.
 */
export class Visited {
  /** Number of the node + 1 for each hash; 0: free. */
  #table = new Uint32Array(1 << 16);
  #low = new Uint32Array(1 << 15);
  #high = new Uint32Array(1 << 15);
  #parent = new Uint32Array(1 << 15);
  #step = new Uint16Array(1 << 15);
  #faults = new Uint8Array(1 << 15);
  /** How many nodes there are. A state that was reached again with fewer faults has two. */
  nodes = 0;
  /** How many states there are. */
  states = 0;

  /** Adds a state, unless it was reached before with no more faults. @returns the number of its node; undefined if it was. */
  add(form: string, faults: number, parent: number, step: number): number | undefined {
    const [low, high] = hash(form);
    const mask = this.#table.length - 1;
    let slot = low & mask;
    for (;;) {
      const node = (this.#table[slot] as number) - 1;
      if (node < 0) break;
      if (this.#low[node] === low && this.#high[node] === high) {
        if ((this.#faults[node] as number) <= faults) return undefined;
        return this.#put(slot, { low, high, parent, step, faults });
      }
      slot = (slot + 1) & mask;
    }
    this.states += 1;
    return this.#put(slot, { low, high, parent, step, faults });
  }

  /** The steps that lead to a node, from the first. */
  wayTo(node: number): number[] {
    const way: number[] = [];
    for (let at = node; at > 0; at = this.#parent[at] as number) way.push(this.#step[at] as number);
    return way.reverse();
  }

  #put(
    slot: number,
    node: { low: number; high: number; parent: number; step: number; faults: number },
  ): number {
    const number = this.nodes;
    if (number === this.#low.length) this.#grow();
    this.nodes += 1;
    this.#low[number] = node.low;
    this.#high[number] = node.high;
    this.#parent[number] = node.parent;
    this.#step[number] = node.step;
    this.#faults[number] = node.faults;
    this.#table[slot] = number + 1;
    if (this.states * 2 > this.#table.length) this.#rehash();
    return number;
  }

  #grow(): void {
    const size = this.#low.length * 2;
    const larger = <T extends Uint32Array | Uint16Array | Uint8Array>(to: T, from: T): T => {
      to.set(from);
      return to;
    };
    this.#low = larger(new Uint32Array(size), this.#low);
    this.#high = larger(new Uint32Array(size), this.#high);
    this.#parent = larger(new Uint32Array(size), this.#parent);
    this.#step = larger(new Uint16Array(size), this.#step);
    this.#faults = larger(new Uint8Array(size), this.#faults);
  }

  #rehash(): void {
    const before = this.#table;
    const table = new Uint32Array(before.length * 2);
    const mask = table.length - 1;
    for (const entry of before) {
      if (entry === 0) continue;
      let slot = (this.#low[entry - 1] as number) & mask;
      while (table[slot] !== 0) slot = (slot + 1) & mask;
      table[slot] = entry;
    }
    this.#table = table;
  }
}

/** Two hashes of 32 bits (after cyrb53, public domain). */
function hash(text: string): [number, number] {
  let low = 0xdeadbeef;
  let high = 0x41c6ce57;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    low = Math.imul(low ^ code, 2654435761);
    high = Math.imul(high ^ code, 1597334677);
  }
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  return [low >>> 0, high >>> 0];
}
