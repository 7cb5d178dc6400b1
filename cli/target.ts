/** What a name on the command line stands for. Tasks have a dot or an @ after the service, services an underscore, stacks neither. */
export type Target = { stack: string } | { service: string } | { task: string }

export function parseTarget(name: string): Target {
  const service = name.indexOf('_')
  if (service < 0) return { stack: name }
  return /\.\d+(\.|$)|@/.test(name.slice(service)) ? { task: name } : { service: name }
}
