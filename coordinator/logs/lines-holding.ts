/** Those of some lines that hold one of some texts, without a look at the others. */

const NEWLINE = 10

/** `bytes`: lines, whole but for the last. Gives the lines as they are, in order. */
export function linesHolding(bytes: Buffer, texts: Buffer[]): Buffer {
  const found: Buffer[] = []
  const findFrom = (from: number) => (text: Buffer) => ({ text, at: bytes.indexOf(text, from) })
  let places = texts.map(findFrom(0)).filter(({ at }) => at >= 0)
  while (places.length > 0) {
    const at = Math.min(...places.map(({ at }) => at))
    const newline = bytes.indexOf(NEWLINE, at)
    const end = newline < 0 ? bytes.length : newline + 1
    found.push(bytes.subarray(bytes.lastIndexOf(NEWLINE, at) + 1, end))
    places = places.map((place) => (place.at < end ? findFrom(end)(place.text) : place)).filter(({ at }) => at >= 0)
  }
  return Buffer.concat(found)
}
