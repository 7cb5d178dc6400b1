/**
 * The first start of a version finds no compiled code in the cache, so Node's reader of TypeScript is loaded, and stays: 25 MB of
 * an agent that may run for months. Once all of its modules are loaded they are in the cache, and the process begins anew
 * in the same place: its id, its standard streams and whoever watches it stay.
 */
import { flushCompileCache, getCompileCacheDir } from 'node:module'

/** Set in a process that has begun anew: once is enough, also where the cache cannot be written. */
const MARK = 'BERTH_STARTED_ANEW'
const READER = 'NativeModule internal/deps/amaro/dist/index'

/** Does not return where it is worth while. To be called before anything is open that an end would break. */
export function startAnewIfCold(env: NodeJS.ProcessEnv): void {
  const { execve, execPath, execArgv, argv } = process
  if (env[MARK] !== undefined || !execve || getCompileCacheDir() === undefined || !isReaderLoaded()) return
  flushCompileCache()
  execve(execPath, [execPath, ...execArgv, ...argv.slice(1)], { ...env, [MARK]: '1' })
}

function isReaderLoaded(): boolean {
  const { moduleLoadList } = process as { moduleLoadList?: string[] }
  return moduleLoadList?.includes(READER) ?? false
}
