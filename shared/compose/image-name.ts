/**
 * Names of images, by the grammar of the CNCF Distribution (reference/regexp.go describes it):
 * `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`, small letters in the path. The Engine checks again; here the mistake is told with its place.
 */
const HOST =
  /(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:]+\])(?::\d+)?/
const PART = /[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*/
const TAG = /[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}/
const DIGEST = /[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,}/

const IMAGE = new RegExp(
  `^(?:${HOST.source}/)?${PART.source}(?:/${PART.source})*(?::${TAG.source})?(?:@${DIGEST.source})?$`,
)
/** Longer ones no registry takes; it also bounds the work of the expression above. */
const IMAGE_CHARS_MAX = 512

export function isImageName(text: string): boolean {
  return text.length <= IMAGE_CHARS_MAX && IMAGE.test(text)
}
