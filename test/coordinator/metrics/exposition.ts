/** Reads Prometheus' text form, and says what `promtool check metrics` would say of it, as far as it concerns us. */

export type ReadSample = { name: string; labels: Record<string, string>; value: number }

export function parseExposition(text: string): { samples: ReadSample[]; offences: string[] } {
  const samples: ReadSample[] = []
  const offences: string[] = []
  const types = new Map<string, string>()
  const helped = new Set<string>()
  const series = new Set<string>()
  let family = ''
  if (!text.endsWith('\n')) offences.push('the last line does not end')
  for (const line of text.split('\n')) {
    const [, kind, name, rest] = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line) ?? []
    if (line === '') continue
    if (kind === 'HELP') {
      if (helped.has(name!)) offences.push(`${name} has help twice`)
      helped.add(name!)
    } else if (kind === 'TYPE') {
      if (types.has(name!)) offences.push(`${name} has a type twice`)
      types.set(name!, rest!)
      family = name!
      if (rest === 'counter' && !name!.endsWith('_total'))
        offences.push(`${name} is a counter and does not end in _total`)
      if (rest === 'gauge' && name!.endsWith('_total')) offences.push(`${name} is a gauge and ends in _total`)
    } else {
      const sample = sampleIn(line)
      if (sample === null) {
        offences.push(`cannot be read: ${line}`)
        continue
      }
      samples.push(sample)
      if (!sample.name.startsWith(family)) offences.push(`${sample.name} stands under ${family}`)
      if (!helped.has(family) || !types.has(family)) offences.push(`${sample.name} has no help or no type`)
      const key = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).sort())}`
      if (series.has(key)) offences.push(`${key} is told twice`)
      series.add(key)
    }
  }
  return { samples, offences }
}

function sampleIn(line: string): ReadSample | null {
  const [, name, labelText = '', value] = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
  if (name === undefined || Number.isNaN(Number(value))) return null
  const labels: Record<string, string> = {}
  for (const [, key, quoted] of labelText.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)) {
    labels[key!] = quoted!.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
  }
  return { name, labels, value: Number(value) }
}
