/** Chance from the one seed of a run, a stream for each part, so that one part's draws do not shift another's. */
import { chanceFrom } from '../build/chance.ts'

export class Chance {
  private readonly seed: number
  readonly next: () => number

  constructor(seed: number) {
    this.seed = seed
    this.next = chanceFrom(seed)
  }

  /** A stream of its own. */
  of(name: string): Chance {
    let mixed = this.seed ^ 0x9e3779b9
    for (let index = 0; index < name.length; index++) mixed = Math.imul(mixed ^ name.charCodeAt(index), 0x01000193)
    return new Chance(Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d) >>> 0)
  }

  between(min: number, max: number): number {
    return min + this.next() * (max - min)
  }

  /** Whole, both ends included. */
  whole(min: number, max: number): number {
    return Math.floor(this.between(min, max + 1))
  }

  happens(probability: number): boolean {
    return this.next() < probability
  }

  oneOf<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.next() * choices.length)]!
  }

  /** Mostly short, now and then long. */
  skewed(min: number, max: number): number {
    return min * (max / min) ** (this.next() ** 3)
  }
}
