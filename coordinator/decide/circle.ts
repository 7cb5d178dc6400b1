/** The names along the first circle that is found, beginning and ending with the same one; null: there is none. */
export function circleIn(names: Iterable<string>, next: (name: string) => Iterable<string>): string[] | null {
  const done = new Set<string>()
  const visit = (name: string, path: string[]): string[] | null => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name]
    if (done.has(name)) return null
    for (const each of next(name)) {
      const circle = visit(each, [...path, name])
      if (circle) return circle
    }
    done.add(name)
    return null
  }
  for (const name of names) {
    const circle = visit(name, [])
    if (circle) return circle
  }
  return null
}
