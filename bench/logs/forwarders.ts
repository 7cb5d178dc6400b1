/**
 * The peers: rsyslog and syslog-ng of Debian's packages, each reading the same log files with all that was rotated, over TCP to a
 * second one of its kind that writes one file. In clear and without a flush of the disk, neither of which Berth goes without.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { libraryPath, unpackedPackage } from '../peers/debian.ts'

export type Forwarder = {
  name: 'rsyslog' | 'syslog-ng'
  /** Writes its configuration into `dir`, and gives the program of either end. */
  prepare(dir: string, paths: string[], out: string): Record<'receiver' | 'sender', Program>
}
type Program = { file: string; args: string[]; env: NodeJS.ProcessEnv }

const LIMIT_MS = 150_000

/** Seconds from the start of the sender until the receiver has written all these bytes. */
export async function secondsOf(forwarder: Forwarder, dir: string, paths: string[], bytes: number): Promise<number> {
  for (const name of ['in', 'out']) mkdirSync(join(dir, name), { recursive: true })
  const out = join(dir, 'received.log')
  const programs = forwarder.prepare(dir, paths, out)
  const started: ChildProcess[] = []
  const start = ({ file, args, env }: Program) => started.push(spawn(file, args, { env, stdio: 'ignore' }))
  try {
    start(programs.receiver)
    await sleep(1_000)
    const from = performance.now()
    start(programs.sender)
    for (;;) {
      await sleep(50)
      const size = statSync(out, { throwIfNoEntry: false })?.size ?? 0
      // Its buffer of the last lines comes when it likes.
      if (size >= bytes * 0.99) return (performance.now() - from) / 1_000 / (size / bytes)
      const ended = started.find(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null)
      if (ended !== undefined) throw new Error(`${forwarder.name} ended with ${ended.exitCode ?? ended.signalCode}`)
      if (performance.now() - from > LIMIT_MS)
        throw new Error(`${forwarder.name} wrote ${size} of ${bytes} bytes in ${LIMIT_MS} ms`)
    }
  } finally {
    for (const child of started) child.kill('SIGKILL')
  }
}

export const rsyslog: Forwarder = {
  name: 'rsyslog',
  prepare(dir, paths, out) {
    const root = unpackedPackage('rsyslog')
    const env = libraryPath(root)
    const file = join(root, 'usr/sbin/rsyslogd')
    const modules = env.LD_LIBRARY_PATH!.split(':').map((path) => join(path, 'rsyslog'))
    const port = 25_514
    const program = (name: string, config: string): Program => {
      const path = join(dir, `${name}.conf`)
      writeFileSync(path, config)
      return { file, args: ['-n', '-f', path, '-i', join(dir, `${name}.pid`), '-M', modules.join(':')], env }
    }
    const input = (path: string, index: number) =>
      `input(type="imfile" file="${path}*" tag="c${index}:" severity="info" facility="local0")`
    return {
      receiver: program(
        'receiver',
        `global(workDirectory="${dir}/in" maxMessageSize="64k")
module(load="imptcp")
template(name="raw" type="string" string="%msg:2:$%\\n")
input(type="imptcp" port="${port}")
action(type="omfile" file="${out}" template="raw" ioBufferSize="64k" asyncWriting="on")
`,
      ),
      sender: program(
        'sender',
        `global(workDirectory="${dir}/out" maxMessageSize="64k")
module(load="imfile" mode="inotify")
${paths.map(input).join('\n')}
action(type="omfwd" target="127.0.0.1" port="${port}" protocol="tcp" queue.type="LinkedList" queue.size="200000" queue.dequeueBatchSize="1024")
`,
      ),
    }
  },
}

export const syslogNg: Forwarder = {
  name: 'syslog-ng',
  prepare(dir, paths, out) {
    const root = unpackedPackage('syslog-ng-core')
    const env = libraryPath(root, 'usr/lib/syslog-ng')
    const version = readdirSync(join(root, 'usr/lib/syslog-ng')).find((name) => /^\d+\.\d+$/.test(name))!
    const port = 25_515
    const program = (name: string, config: string): Program => {
      const path = (ending: string) => join(dir, `${name}.${ending}`)
      const options = 'options { threaded(yes); log-msg-size(65536); keep-hostname(yes); use-dns(no); stats-freq(0); };'
      writeFileSync(path('conf'), `@version: ${version}\n${options}\n${config}`)
      const files = ['-f', path('conf'), '-R', path('persist'), '-p', path('pid'), '-c', path('ctl')]
      const modules = `--module-path=${join(root, 'usr/lib/syslog-ng', version)}`
      return { file: join(root, 'usr/sbin/syslog-ng'), args: ['-F', '--no-caps', modules, ...files], env }
    }
    const input = (path: string) =>
      `wildcard-file(base-dir("${dirname(path)}") filename-pattern("json.log*") flags(no-parse) log-fetch-limit(1000) log-iw-size(100000));`
    return {
      receiver: program(
        'receiver',
        `source s { network(ip("127.0.0.1") port(${port}) transport("tcp") flags(no-parse) log-fetch-limit(1000) log-iw-size(100000)); };
destination d { file("${out}" template("$MSG\\n") flush-lines(1000)); };
log { source(s); destination(d); flags(flow-control); };
`,
      ),
      sender: program(
        'sender',
        `source s { ${paths.map(input).join('\n')} };
destination d { network("127.0.0.1" port(${port}) transport("tcp") template("$MSG\\n") flush-lines(1000) log-fifo-size(500000)); };
log { source(s); destination(d); flags(flow-control); };
`,
      ),
    }
  },
}
