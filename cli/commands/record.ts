/** `berth record`: what the coordinator's journal holds, as a file; `berth replay`: such a file judged again. */
import { randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { BerthError } from '../../shared/errors.ts'
import { type Context, withClient } from '../context.ts'
import { bytes, duration, percent, plural } from '../figures.ts'
import { startReplay } from '../start.ts'
import { tableLines } from '../table.ts'

export type RecordOptions = { output?: string; force?: boolean }
export type ReplayOptions = { policy?: string }

type Report = Awaited<ReturnType<typeof startReplay>>

export async function record(context: Context, { output, force }: RecordOptions): Promise<void> {
  const path = resolve(output ?? `berth-${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}.recording`)
  if (!force && (await exists(path))) {
    throw new BerthError('invalid-request', `${path} is there already; choose another --output, or --force`)
  }
  const size = await download(context, path)
  if (context.json) return context.out.document({ file: path, bytes: size })
  context.out.line(`${path}  ${bytes(size)}`)
  context.out.note(
    'It holds whole specs, with the values of their environment: keep it as you keep those. Next: berth replay FILE',
  )
}

/** Without a file: what the coordinator's journal holds now. */
export async function replay(context: Context, file: string | undefined, { policy }: ReplayOptions): Promise<void> {
  const path = file ?? join(tmpdir(), `berth-${randomBytes(8).toString('hex')}.recording`)
  try {
    if (file === undefined) await download(context, path)
    const report = await startReplay(path, policy)
    if (context.json) context.out.document(report)
    else for (const line of reportLines(report, context.out.columns)) context.out.line(line)
    if (report.kind === 'same' && !(report.reproduced && report.recording.bytesUnreadable === 0)) process.exitCode = 1
  } finally {
    if (file === undefined) await rm(path, { force: true })
  }
}

/** Nothing half stands under the name that was asked for. Returns the size in bytes. */
async function download(context: Context, path: string): Promise<number> {
  const part = `${path}.part`
  try {
    await withClient(context, async (client) => {
      const stream = await client.download('/v1/recording')
      await pipeline(stream, createWriteStream(part, { mode: 0o600 }))
    })
    const { size } = await stat(part)
    await rename(part, path)
    return size
  } catch (error) {
    await rm(part, { force: true }).catch(() => {})
    if (error instanceof BerthError) throw error
    throw new BerthError('failed', `${path} could not be written: ${(error as Error).message}`, { cause: error })
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

// ---------------------------------------------------------------- words

export function reportLines(report: Report, columns: number): string[] {
  const { recording } = report
  const gaps = recording.gaps > 0 ? `, ${plural(recording.gaps, 'gap')}` : ''
  const head = `${recording.cluster}  ${duration(recording.durationMs)} until ${recording.to}, ${plural(recording.nodes, 'node')}${gaps}`
  const left = recording.bytesUnreadable
  const cut = `✗ the last ${bytes(left)} of the file cannot be read: it was cut off or damaged, and what came there is not judged`
  return [
    head,
    ...(left > 0 ? [cut] : []),
    ...(report.kind === 'same' ? sameLines(report) : otherLines(report, columns)),
  ]
}

function sameLines(report: Extract<Report, { kind: 'same' }>): string[] {
  const { beats, decisions, differing, recording } = report
  const what = `${plural(decisions, 'decision')} in ${plural(beats, 'beat')}`
  if (differing.length === 0) return [`✓ ${what}: each was come to again (policy ${recording.policy})`]
  return differing.flatMap(({ at, recorded, replayed }) => [
    `✗ the beat at ${at} decides otherwise (recorded by Berth ${recording.versions.join(', ')})`,
    `  recorded  ${JSON.stringify(recorded[firstDifference(recorded, replayed)] ?? null)}`,
    `  replayed  ${JSON.stringify(replayed[firstDifference(recorded, replayed)] ?? null)}`,
  ])
}

function firstDifference(a: readonly unknown[], b: readonly unknown[]): number {
  const index = a.findIndex((each, at) => JSON.stringify(each) !== JSON.stringify(b[at]))
  return index < 0 ? a.length : index
}

function otherLines(report: Extract<Report, { kind: 'other' }>, columns: number): string[] {
  const { recorded, replayed, policy, placedInBoth, placedElsewhere, changesRefused, recording } = report
  const peak = ({ share, node }: typeof recorded.peakCpu) => (node === null ? '–' : `${percent(share, 1)} (${node})`)
  const refusals = (counts: Record<string, number>) =>
    Object.entries(counts)
      .map(([check, count]) => `${check} ${count}`)
      .join(', ') || 'none'
  const rows = [
    ['tasks placed', String(recorded.placements), String(replayed.placements)],
    ['on another node than recorded', '', `${placedElsewhere} of ${placedInBoth}`],
    ['tasks stopped', String(recorded.stopped), String(replayed.stopped)],
    ['nodes with tasks, at most', String(recorded.nodesUsed), String(replayed.nodesUsed)],
    ['peak CPU of a node', peak(recorded.peakCpu), peak(replayed.peakCpu)],
    ['peak memory of a node', peak(recorded.peakMemory), peak(replayed.peakMemory)],
    ['tasks that had to wait, by check', refusals(recorded.refusals), refusals(replayed.refusals)],
    ['waiting, all tasks together', duration(recorded.waitingMs), duration(replayed.waitingMs)],
  ]
  const titles = [{ title: '' }, { title: `as recorded (${recording.policy})` }, { title: `with ${policy}` }]
  const lines = tableLines(titles, rows, columns)
  if (recording.gaps > 0) lines.push(`compared from ${report.comparedFrom}, the last gap`)
  if (changesRefused > 0) lines.push(`${plural(changesRefused, 'change')} of the recording would have been refused`)
  return lines
}
