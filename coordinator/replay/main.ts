/** `berth replay`: a recording judged again, by the same rules or by another policy. Needs no coordinator. */
import { readFileSync } from 'node:fs'
import { BerthError } from '../../shared/errors.ts'
import { POLICY_NAMES, type PolicyName } from '../../shared/spec.ts'
import { readSegments, type Segment, unreadableEnd } from '../journal/format.ts'
import type { Change, Decision, World } from '../world.ts'
import { type Comparison, replayOtherwise } from './otherwise.ts'
import { reproduce } from './reproduce.ts'
import { usualDelays } from './usual-delays.ts'

export type ReplayReport = {
  recording: {
    cluster: string
    /** Berths that wrote it; decisions are reproduced only by the code that made them. */
    versions: string[]
    from: string
    to: string
    durationMs: number
    segments: number
    gaps: number
    /** At its end: what was cut off or damaged, and is not judged. */
    bytesUnreadable: number
    /** All that it tells of. */
    nodes: number
    /** In force when the recording begins. */
    policy: PolicyName
  }
} & (
  | {
      /** Every recorded decision was come to again, or where that first failed, in how many segments. */
      kind: 'same'
      beats: number
      decisions: number
      reproduced: boolean
      differing: { at: string; recorded: Decision[]; replayed: Decision[] }[]
    }
  | ({
      kind: 'other'
      policy: PolicyName /** What was compared: since the last gap. */
      comparedFrom: string
    } & Comparison)
)

/**
 * @param policy one of the scheduler's; undefined replays with what was in force
 * @throws BerthError `invalid-file` for what is no recording, or one of another format; `invalid-request` for an unknown policy
 */
export function replay(path: string, policy?: string): ReplayReport {
  const bytes = readFile(path)
  const name = checkedPolicy(policy)
  const recording = describe(bytes, path)
  return name === undefined
    ? { recording, kind: 'same', ...reproduceAll(bytes, path) }
    : { recording, kind: 'other', ...compare(bytes, path, name) }
}

function readFile(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new BerthError('invalid-file', `${path} cannot be read: ${(error as Error).message}`, { cause: error })
  }
}

function checkedPolicy(policy: string | undefined): PolicyName | undefined {
  const name = POLICY_NAMES.find((each) => each === policy)
  if (policy === undefined || name) return name
  throw new BerthError('invalid-request', `there is no policy ${policy}; there are ${POLICY_NAMES.join(', ')}`)
}

function describe(bytes: Buffer, path: string): ReplayReport['recording'] {
  const versions = new Set<string>()
  const nodes = new Set<string>()
  let first: Segment | null = null
  let last = 0
  let segments = 0
  let gaps = 0
  for (const segment of readSegments(bytes, path)) {
    const { header, entries } = segment
    if (first !== null && !header.follows) gaps += 1
    first ??= segment
    segments += 1
    versions.add(header.version)
    last = Math.max(last, header.startedAt)
    for (const node of segment.snapshot.world.nodes.keys()) nodes.add(node)
    for (const entry of entries) {
      last = Math.max(last, 'beat' in entry ? entry.beat.now : entry.at)
      if ('change' in entry && entry.change.kind === 'join-node') nodes.add(entry.change.node)
    }
  }
  if (first === null) throw new BerthError('invalid-file', `${path} is empty; \`berth record\` makes a recording`)
  const { header, snapshot } = first
  return {
    cluster: header.cluster,
    versions: [...versions],
    from: new Date(header.startedAt).toISOString(),
    to: new Date(last).toISOString(),
    durationMs: last - header.startedAt,
    segments,
    gaps,
    bytesUnreadable: unreadableEnd(bytes, path),
    nodes: nodes.size,
    policy: snapshot.world.settings.policy,
  }
}

function reproduceAll(bytes: Buffer, path: string) {
  const result = {
    beats: 0,
    decisions: 0,
    reproduced: true,
    differing: [] as { at: string; recorded: Decision[]; replayed: Decision[] }[],
  }
  for (const segment of readSegments(bytes, path)) {
    const { beats, decisions, differing } = reproduce(segment)
    result.beats += beats
    result.decisions += decisions
    if (!differing) continue
    result.reproduced = false
    result.differing.push({ ...differing, at: new Date(differing.at).toISOString() })
  }
  return result
}

// ---------------------------------------------------------------- by another policy

function compare(bytes: Buffer, path: string, policy: PolicyName) {
  const delays = usualDelays(readSegments(bytes, path))
  const segments = () => sinceLastGap(bytes, path)
  const [first] = segments()
  const comparison = replayOtherwise(
    segments(),
    first!.snapshot,
    (world) => rulePolicy(world, policy),
    withoutOwnPolicy,
    delays,
  )
  return { policy, comparedFrom: new Date(first!.header.startedAt).toISOString(), ...comparison }
}

function* sinceLastGap(bytes: Buffer, path: string): Generator<Segment> {
  let from = 0
  let index = 0
  for (const { header } of readSegments(bytes, path)) {
    if (!header.follows) from = index
    index += 1
  }
  index = 0
  for (const segment of readSegments(bytes, path)) {
    if (index >= from) yield segment
    index += 1
  }
}

/** Also for services that have named one of their own. */
function rulePolicy(world: World, policy: PolicyName): void {
  world.settings = { ...world.settings, policy }
  for (const service of world.services.values()) {
    for (const version of service.versions.values()) delete version.spec.placement.policy
  }
}

function withoutOwnPolicy(change: Change): Change {
  if (change.kind === 'set-cluster') return { ...change, settings: without(change.settings, 'policy') }
  if (change.kind !== 'deploy-stack') return change
  const services = Object.entries(change.spec.services).map(([name, spec]) => [
    name,
    { ...spec, placement: without(spec.placement, 'policy') },
  ])
  return { ...change, spec: { ...change.spec, services: Object.fromEntries(services) } }
}

function without<Value extends object, Key extends keyof Value>(value: Value, key: Key): Omit<Value, Key> {
  const { [key]: _left, ...rest } = value
  return rest
}
