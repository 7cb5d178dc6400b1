/** How `bin/berth` starts Node for an agent, so that a bench that starts an agent's parts by itself measures what users have. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const BERTH = join(import.meta.dirname, '../../bin/berth')

/** @throws Error when it does not read as it did */
export function agentSettings(): { execArgv: string[]; env: NodeJS.ProcessEnv } {
  const own = /if \[ "\$\{1:-\}" = agent \]; then\n([\s\S]+?)\nelse/.exec(readFileSync(BERTH, 'utf8'))?.[1] ?? ''
  const execArgv = own.match(/--[a-z][a-z0-9=-]+/g) ?? []
  const variables = [...own.matchAll(/\b([A-Z_]{5,})=(\S+)/g)].map(([, name, value]) => [name!, value!] as const)
  if (execArgv.length === 0 || variables.length === 0) throw new Error(`${BERTH} has no settings of an agent any more`)
  return { execArgv, env: { ...process.env, ...Object.fromEntries(variables) } }
}
