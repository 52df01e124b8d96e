/**
 * Where each row of a long list is, while the heights of most are only guessed. A Fenwick tree: to learn one
 * height, and to find the row at a place, take the logarithm of the number of rows.
 */
export class Heights {
  #heights: Float64Array;
  #tree: Float64Array;
  #count: number;

  /** Of rows whose heights are known or guessed by their index. */
  constructor(count: number, height: (index: number) => number) {
    this.#count = count;
    this.#heights = new Float64Array(count);
    this.#tree = new Float64Array(count + 1);
    for (let i = 0; i < count; i++) this.#heights[i] = height(i);
    this.#grow(0);
  }

  get count(): number {
    return this.#count;
  }

  get total(): number {
    return this.top(this.#count);
  }

  height(index: number): number {
    return this.#heights[index] ?? 0;
  }

  /** The sum of the heights before a row. */
  top(index: number): number {
    let sum = 0;
    for (let i = Math.min(index, this.#count); i > 0; i -= i & -i) sum += this.#tree[i] ?? 0;
    return sum;
  }

  /** Sets what a row has been measured to be. */
  set(index: number, height: number): void {
    const change = height - this.height(index);
    if (change === 0 || index >= this.#count) return;
    this.#heights[index] = height;
    for (let i = index + 1; i <= this.#count; i += i & -i) this.#tree[i] = (this.#tree[i] ?? 0) + change;
  }

  /** The row at a distance from the top, or the last one. */
  at(distance: number): number {
    let index = 0;
    let rest = distance;
    for (let step = 2 ** Math.floor(Math.log2(Math.max(1, this.#count))); step >= 1; step /= 2) {
      const next = index + step;
      const sum = this.#tree[next] ?? 0;
      if (next <= this.#count && sum <= rest) {
        index = next;
        rest -= sum;
      }
    }
    return Math.min(index, Math.max(0, this.#count - 1));
  }

  #grow(from: number): void {
    for (let i = from + 1; i <= this.#count; i++) this.#tree[i] = this.#heights[i - 1] ?? 0;
    for (let i = 1; i <= this.#count; i++) {
      const parent = i + (i & -i);
      if (parent <= this.#count) this.#tree[parent] = (this.#tree[parent] ?? 0) + (this.#tree[i] ?? 0);
    }
  }
}
