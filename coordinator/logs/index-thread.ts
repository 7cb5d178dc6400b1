/** The thread of segment-indexer.ts: whatever else there is to do on this machine goes first. */
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { type Indexed, type IndexOrder, indexSegment } from './index-segment.ts'

export type IndexAnswer = Indexed | { error: string }

/** Writing goes first: on two cores that are busy with it, the index waits until it is over. */
const NICE = 19

beNice()
parentPort!.on('message', (order: IndexOrder) => parentPort!.postMessage(answerTo(order)))

function answerTo(order: IndexOrder): IndexAnswer {
  try {
    return indexSegment(order)
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}

/** Linux knows priorities of threads, and tells which one asks. Elsewhere it is one like the others. */
function beNice(): void {
  try {
    setPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)), NICE)
  } catch {}
}
