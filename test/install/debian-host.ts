/**
 * A Debian host, with systemd as PID 1 or without, to try the installer and its units for real: a container on a test host's
 * engine, in that host's network, which has the same engine at /var/run/docker.sock. Privileges are named one by one, since some machines refuse
 * --privileged.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Host } from '../engines/hosts.ts'
import { type Command, must, run } from '../engines/processes.ts'
import { CACHE_DIR } from '../engines/slots.ts'
import { until } from '../engines/until.ts'

const IMAGE = 'berth-test/systemd:1'
const SUITE = 'bookworm'
const PACKAGES = ['systemd', 'systemd-sysv', 'dbus', 'iproute2', 'ca-certificates', 'curl', 'openssl', 'sudo', 'procps']
/** What runs as PID 1: systemd, or nothing that starts services. */
const INIT = {
  systemd: { flags: ['--stop-signal', 'SIGRTMIN+3'], command: ['/lib/systemd/systemd'] },
  none: { flags: ['--init'], command: ['sleep', 'infinity'] },
}
const BOOTSTRAP_LIMIT_MS = 900_000
const ROOT = join(import.meta.dirname, '../..')

export type DebianHost = {
  host: Host
  /** Runs a line of shell inside, as root. */
  sh(line: string, limitMs?: number): Promise<Command>
  /** As `sh`. @throws Error with what it wrote when it fails */
  must(line: string, limitMs?: number): Promise<string>
  reboot(): Promise<void>
}

/** Takes the host about two seconds; the first on a machine some minutes, for Debian's bootstrap. The checkout is at /src, read only. */
export async function startDebianHost(host: Host, init: 'systemd' | 'none'): Promise<DebianHost> {
  await host.docker('load', '--quiet', '--input', await imageArchive(host))
  const name = 'debian-host'
  await host.docker(
    ...['run', '--detach', ...INIT[init].flags, '--name', name, '--network', 'host', '--cgroupns', 'host'],
    ...['--cap-add', 'SYS_ADMIN', '--cap-add', 'NET_ADMIN', '--security-opt', 'seccomp=unconfined'],
    ...['--tmpfs', '/run', '--tmpfs', '/run/lock', '--tmpfs', '/tmp:exec', '-v', '/sys/fs/cgroup:/sys/fs/cgroup:rw'],
    ...['-v', `${host.socket}:/run/docker.sock`, '-v', '/usr/bin/docker:/usr/bin/docker:ro'],
    ...['-v', `${host.dataDir}:${host.dataDir}:ro`, '-v', `${ROOT}:/src:ro`, IMAGE, ...INIT[init].command],
  )
  const debian = {
    host,
    sh: (line: string, limitMs?: number) =>
      run('docker', ['-H', host.dockerHost, 'exec', name, 'sh', '-c', line], limitMs === undefined ? {} : { limitMs }),
    async must(line: string, limitMs?: number) {
      const { exit, stdout, stderr } = await debian.sh(line, limitMs)
      if (exit !== 0) throw new Error(`${line} exited ${exit} on ${host.name}: ${stdout}${stderr}`)
      return stdout + stderr
    },
    async reboot() {
      await host.docker('restart', '--time', '20', name)
      await isUp(debian, init)
    },
  }
  await isUp(debian, init)
  return debian
}

async function isUp(debian: DebianHost, init: keyof typeof INIT): Promise<void> {
  if (init === 'none') return
  const running = async () => /running|degraded/.test((await debian.sh('systemctl is-system-running')).stdout)
  await until(running, `systemd on ${debian.host.name} to be up`)
}

/** Debian's own bootstrap, made once a machine and kept as an archive that engines load. */
async function imageArchive(host: Host): Promise<string> {
  const recipe = createHash('sha256')
    .update(JSON.stringify([SUITE, PACKAGES]))
    .digest('hex')
    .slice(0, 12)
  const archive = join(CACHE_DIR, `systemd-${recipe}.tar`)
  if (existsSync(archive)) return archive
  mkdirSync(CACHE_DIR, { recursive: true })
  const root = join(CACHE_DIR, `systemd-root.${process.pid}`)
  try {
    const args = ['--variant=minbase', `--include=${PACKAGES.join(',')}`, SUITE, root, mirror()]
    await must('debootstrap', args, { limitMs: BOOTSTRAP_LIMIT_MS })
    const flags = `-c 'CMD ["/lib/systemd/systemd"]' -c 'ENV container=docker'`
    await must('sh', ['-c', `tar -C '${root}' -c . | docker -H ${host.dockerHost} import ${flags} - ${IMAGE}`])
    await host.docker('save', '--output', `${archive}.${process.pid}`, IMAGE)
    renameSync(`${archive}.${process.pid}`, archive)
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
  return archive
}

/** Whichever mirror apt uses on this machine, when it is one of Debian's. */
function mirror(): string {
  const folder = '/etc/apt/sources.list.d'
  const files = [
    ...(existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : []),
    '/etc/apt/sources.list',
  ]
  for (const file of files.filter((name) => existsSync(name))) {
    const found = /^(?:URIs:|deb\s+(?:\[.*?\]\s+)?)\s*(https?:\/\/\S*\/debian\/?)(?:\s|$)/m.exec(
      readFileSync(file, 'utf8'),
    )?.[1]
    if (found) return found
  }
  throw new Error("no source in /etc/apt names a mirror of Debian's: the systemd host cannot be bootstrapped")
}
