/** `writer.ts FOLDER [COUNT]`: writes pairs n, n+1, …, each in one transaction; prints a number once it is durable. */
import { writeSync } from 'node:fs'
import { openLmdbStore } from '../../../coordinator/store/lmdb.ts'

const store = await openLmdbStore({ dir: process.argv[2]! })
const count = Number(process.argv[3] ?? 1_000_000)
const first = [...store.range(['n'])].length
for (let number = first; number < first + count; number++) {
  await store.transact([
    { key: ['n', number], value: 'x'.repeat(100) },
    { key: ['twin', number], value: 'x'.repeat(2000) },
  ])
  writeSync(1, `${number}\n`)
}
await store.close()
