/**
 * Text for a terminal. Log lines, the outputs of health tests and an agent's words are written by others, and a terminal obeys
 * what it is sent: it can be told to erase lines, rename its window or fill the clipboard. Colours pass; every other control
 * character is shown instead of obeyed. What goes into a pipe or with --json stays as it was written.
 */

/** One line, or several. `withColours`: colours pass, and end with the text. */
export function forTerminal(text: string, withColours: boolean): string {
  if (!UNFIT.test(text)) return text
  const fit = text.replaceAll(RETURN_AT_END, '').replaceAll(COLOUR_OR_UNFIT, (found) => {
    if (found.length > 1) return withColours ? found : ''
    return picture(found)
  })
  return fit.includes(ESCAPE) ? fit + COLOURS_END : fit
}

const ESCAPE = String.fromCharCode(0x1b)
const COLOURS_END = `${ESCAPE}[0m`
/** Of terminals with lines in Windows' manner. */
const RETURN_AT_END = /\r+(?=\n|$)/g

// Written as numbers, so that no control character stands in this file. Tab and newline are fit.
const CONTROLS = '\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f'
/** They make text read otherwise than it is. */
const DIRECTIONS = '\\u202a-\\u202e\\u2066-\\u2069'
const UNFIT = new RegExp(`[${CONTROLS}${DIRECTIONS}]`, 'u')
const COLOUR_OR_UNFIT = new RegExp(`\\u001b\\[[0-9;:]*m|[${CONTROLS}${DIRECTIONS}]`, 'gu')

/** U+2400 and on are pictures of the control characters: ␛ for escape. */
function picture(control: string): string {
  const code = control.charCodeAt(0)
  if (code < 0x20) return String.fromCharCode(0x2400 + code)
  return code === 0x7f ? '\u2421' : '\ufffd'
}

/** What somebody else has written, such as a health check, may have several lines. */
export function oneLine(text: string): string {
  return text.includes('\n') ? text.replaceAll(/\s*\n\s*/g, ' ').trim() : text
}
