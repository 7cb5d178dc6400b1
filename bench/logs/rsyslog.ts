/** The peer: rsyslog's imfile → TCP → a second rsyslog that writes a file, of Debian's package if it is here. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const PORT = 25_514
const LIMIT_MS = 150_000

export function hasRsyslog(): boolean {
  return spawnSync('rsyslogd', ['-v']).status === 0
}

/** Seconds from the start of the sender until the receiver has written so many lines' bytes and stands still. */
export async function rsyslogSeconds(dir: string, paths: string[], bytes: number): Promise<number> {
  const out = join(dir, 'received.log')
  for (const name of ['in', 'out']) mkdirSync(join(dir, name), { recursive: true })
  writeFileSync(
    join(dir, 'receiver.conf'),
    `global(workDirectory="${dir}/in" maxMessageSize="64k")
module(load="imptcp")
template(name="raw" type="string" string="%msg:2:$%\\n")
input(type="imptcp" port="${PORT}")
action(type="omfile" file="${out}" template="raw" ioBufferSize="64k" asyncWriting="on")
`,
  )
  writeFileSync(
    join(dir, 'sender.conf'),
    `global(workDirectory="${dir}/out" maxMessageSize="64k")
module(load="imfile" mode="inotify")
${paths.map((path, index) => `input(type="imfile" file="${path}" tag="c${index}:" severity="info" facility="local0")`).join('\n')}
action(type="omfwd" target="127.0.0.1" port="${PORT}" protocol="tcp" queue.type="LinkedList" queue.size="200000" queue.dequeueBatchSize="1024")
`,
  )
  const started: ChildProcess[] = []
  const start = (name: string) =>
    started.push(
      spawn('rsyslogd', ['-n', '-f', join(dir, `${name}.conf`), '-i', join(dir, `${name}.pid`)], { stdio: 'ignore' }),
    )
  try {
    start('receiver')
    await sleep(500)
    const from = performance.now()
    start('sender')
    for (;;) {
      await sleep(50)
      const size = statSync(out, { throwIfNoEntry: false })?.size ?? 0
      // Its buffer of the last lines comes when it likes.
      if (size >= bytes * 0.99) return (performance.now() - from) / 1_000 / (size / bytes)
      if (performance.now() - from > LIMIT_MS)
        throw new Error(`rsyslog wrote ${size} of ${bytes} bytes in ${LIMIT_MS} ms`)
    }
  } finally {
    for (const child of started) child.kill('SIGKILL')
  }
}
