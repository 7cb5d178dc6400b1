/** Chance that can be repeated: the same seed gives the same numbers in [0, 1). */
export function chanceFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    // mulberry32: small, and even enough for choosing moments and victims.
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The seed of this run: BERTH_TEST_SEED to repeat one, else a new one. */
export function testSeed(): number {
  return Number(process.env.BERTH_TEST_SEED ?? Date.now() % 1_000_000)
}

export function oneOf<T>(choices: readonly T[], chance: () => number): T {
  return choices[Math.floor(chance() * choices.length)]!
}

/** The same chance with the throws that random worlds are made with. */
export type Dice = { below(count: number): number; share(): number; of<T>(values: readonly T[]): T }

export function diceFrom(seed: number): Dice {
  const share = chanceFrom(seed)
  return {
    share,
    below: (count) => Math.floor(share() * count),
    of: (values) => oneOf(values, share),
  }
}
