/** Text that others wrote, made to fit: into a message's bounds, onto a line. */

/** What a message of the wire may hold of a sentence (see Text in wire/up.ts). */
export const WIRE_TEXT_CHARS_MAX = 4096

/**
 * At most `charsMax` UTF-16 units of it, and well-formed: a character cut in half, or half a character that was there before,
 * is no text that the wire would let through.
 */
export function wellFormedCut(text: string, charsMax: number): string {
  return text.slice(0, charsMax).toWellFormed()
}

/** The same, with `…` at its end where something is missing; the mark counts as one of `charsMax`. */
export function wellFormedBrief(text: string, charsMax: number): string {
  return text.length > charsMax ? `${wellFormedCut(text, charsMax - 1)}…` : text.toWellFormed()
}
