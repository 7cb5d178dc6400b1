/** `coordinator-process.ts OPTIONS`: the real coordinator as a process of its own, for tests and measures that kill it. */
import { runCoordinator } from '../../coordinator/main.ts'
import { type CoordinatorOptions, coordinatorOptions } from '../../coordinator/options.ts'

const stopping = new AbortController()
process.on('SIGTERM', () => stopping.abort())
const options = coordinatorOptions(JSON.parse(process.argv[2]!) as Partial<CoordinatorOptions>)
const { ended } = await runCoordinator(options, stopping.signal)
await ended
