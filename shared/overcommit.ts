/** Factors by which what a node has may be promised. */
export const OVERCOMMIT_MIN = 0.01
export const OVERCOMMIT_MAX = 100
