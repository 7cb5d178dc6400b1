export const LINK_TIMES = {
  /** From the first packet to the welcome. */
  greetingTimeoutMs: 10_000,
  /** Only a coordinator that vanished without a word is found by it, and nothing waits for that: each ping costs it as much as a heartbeat. */
  pingIntervalMs: 10_000,
  /** Neither message nor pong for so long: the coordinator is gone, whatever TCP believes. */
  silenceMs: 5_000,
  /** What a goodbye gets to go out. */
  goodbyeMs: 500,
}

export type LinkTimes = typeof LINK_TIMES
