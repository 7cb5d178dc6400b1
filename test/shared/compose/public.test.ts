/** Files such as people have: what becomes of each, to the word. */
import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { ComposeError, formatFinding, readCompose } from '../../../shared/compose/read-compose.ts'
import type { ServiceSpec, StackSpec } from '../../../shared/spec.ts'

const DIRECTORY = path.join(import.meta.dirname, 'public')

async function outcome(file: string, allowUnsupported = false): Promise<{ stack?: StackSpec; findings: string[] }> {
  try {
    const { stack, findings } = await readCompose({
      files: [file],
      stack: 'test',
      profiles: [],
      environment: { HOME: '/home/me' },
      workingDirectory: DIRECTORY,
      readFile: (each) => readFile(each, 'utf8'),
      allowUnsupported,
    })
    return { stack, findings: findings.map(formatFinding) }
  } catch (error) {
    if (error instanceof ComposeError) return { findings: error.findings.map(formatFinding) }
    throw error
  }
}

/** `api ×2 app:1 8080→80 data:/data after db` */
function summary([name, service]: [string, ServiceSpec]): string {
  const { image, ports, mounts } = service.task.container
  const count = service.mode.kind === 'global' ? 'global' : `×${service.mode.replicas}`
  const published = ports.map(
    (port) => `${port.hostIp ? `${port.hostIp}:` : ''}${port.hostPort ?? '*'}→${port.containerPort}`,
  )
  const mounted = mounts.map(
    (mount) => `${'source' in mount && mount.source ? mount.source : mount.type}:${mount.target}`,
  )
  const after = Object.keys(service.dependsOn).map((other) => `after ${other}`)
  return [name, count, image, ...published, ...mounted, ...after].join(' ').replaceAll(DIRECTORY, '.')
}

const NETWORK_HINT =
  'is not honoured yet: services do not reach each other by name; leave networks out and publish ports'
const NAMES_HINT = 'is not honoured; Berth names its containers after stack, service and slot'

type Expected = { services?: string[]; findings?: string[] }

const OUTCOMES: Record<string, Expected> = {
  'blog.yaml': {
    services: [
      'db ×1 mysql:8.0 test_db_data:/var/lib/mysql',
      'wordpress ×1 wordpress:6-apache 8000→80 test_wp_data:/var/www/html after db',
    ],
  },
  'broker.yaml': {
    services: [
      'mosquitto ×1 eclipse-mosquitto:2 1883→1883 9001→9001 9002→9002 ./mosquitto.conf:/mosquitto/config/mosquitto.conf mosquitto-data:/mosquitto/data tmpfs:/tmp',
      'homeassistant ×1 homeassistant/home-assistant:2024.7 ./config:/config /etc/localtime:/etc/localtime',
    ],
  },
  'cloud.yaml': {
    findings: [
      'cloud.yaml:17:9  warning: services.db.volumes[0]: Z is not honoured: files are not relabelled for SELinux',
      'cloud.yaml:20:5  services.db.secrets: is not honoured yet: the files would be missing in the container; bind-mount them, or use env_file',
    ],
  },
  'develop.yaml': {
    services: [
      'api ×1 registry.example.org/team/api:dev 3000→3000 127.0.0.1:9229→9229 .:/app volume:/app/node_modules after db',
      'db ×1 postgres:16 *→5432 tmpfs:/run',
    ],
    findings: [
      'develop.yaml:4:5  warning: services.api.build: is not honoured: the image is used, not built',
      'develop.yaml:24:5  warning: services.api.develop: is not honoured; Berth runs images and watches no source files',
    ],
  },
  'forge.yaml': {
    findings: [
      `forge.yaml:9:5  warning: services.server.container_name: ${NAMES_HINT}`,
      `forge.yaml:17:9  services.server.networks[0]: the network "gitea" ${NETWORK_HINT}`,
      `forge.yaml:34:9  services.db.networks[0]: the network "gitea" ${NETWORK_HINT}`,
    ],
  },
  'gpu.yaml': {
    services: ['inference ×1 example/inference:0.3 8000→8000 /home/me/.cache/models:/models'],
  },
  'mail.yaml': {
    findings: [
      'mail.yaml:9:5  services.mail.links: is not honoured: names of other containers do not resolve',
      'mail.yaml:11:16  services.mail.mem_limit: "2GBB" is not a size; write it like 512M or 2G',
      'mail.yaml:12:15  services.mail.env_file: there is no file mailserver.env',
      'mail.yaml:15:15  services.antivirus.volumes[0]: the volume "signatures" is not declared under the top-level "volumes"',
    ],
  },
  'monitoring.yaml': {
    services: [
      'prometheus ×1 prom/prometheus:v2.53.0 ./prometheus:/etc/prometheus test_prometheus_data:/prometheus',
      'nodeexporter global prom/node-exporter:v1.8.1 /proc:/host/proc /sys:/host/sys /:/rootfs',
      'cadvisor global gcr.io/cadvisor/cadvisor:v0.49.1 /:/rootfs /var/run:/var/run /sys:/sys /var/lib/docker:/var/lib/docker',
      'grafana ×1 grafana/grafana:11.1.0 3000→3000 test_grafana_data:/var/lib/grafana',
    ],
  },
  'proxy.yaml': {
    services: [
      'traefik ×1 traefik:v3.1 80→80 127.0.0.1:8080→8080 /var/run/docker.sock:/var/run/docker.sock',
      'whoami ×1 traefik/whoami',
    ],
    findings: [
      `proxy.yaml:6:5  warning: services.traefik.container_name: ${NAMES_HINT}`,
      `proxy.yaml:21:5  warning: services.whoami.container_name: ${NAMES_HINT}`,
    ],
  },
  'queue.yaml': {
    services: ['fast ×4 registry.example.org/team/worker:7', 'slow ×2 registry.example.org/team/worker:7'],
  },
  'search.yaml': {
    services: ['es01 ×1 elasticsearch:8.14.1 127.0.0.1:9200→9200 test_data01:/usr/share/elasticsearch/data'],
  },
  'voting.yaml': {
    findings: [
      `voting.yaml:6:16  services.queue.networks[0]: the network "frontend" ${NETWORK_HINT}`,
      `voting.yaml:15:16  services.db.networks[0]: the network "backend" ${NETWORK_HINT}`,
      `voting.yaml:21:16  services.vote.networks[0]: the network "frontend" ${NETWORK_HINT}`,
      `voting.yaml:30:16  services.result.networks[0]: the network "backend" ${NETWORK_HINT}`,
      `voting.yaml:38:16  services.worker.networks[0]: the network "frontend" ${NETWORK_HINT}`,
      `voting.yaml:38:26  services.worker.networks[1]: the network "backend" ${NETWORK_HINT}`,
    ],
  },
  'vpn.yaml': {
    findings: [
      'vpn.yaml:14:5  services.client.network_mode: "service:vpn" is not honoured yet; there are host, none, bridge',
    ],
  },
}

it('every file of the table is here, and every file here is in the table', () => {
  expect(readdirSync(DIRECTORY).toSorted()).toEqual(Object.keys(OUTCOMES).toSorted())
})

describe.each(Object.entries(OUTCOMES))('%s', (file, expected) => {
  it(expected.services ? 'becomes a stack' : 'is refused, each reason with its line', async () => {
    const { stack, findings } = await outcome(file)
    expect(findings).toEqual(expected.findings ?? [])
    expect(stack && Object.entries(stack.services).map(summary)).toEqual(expected.services)
  })
})

it.each(['cloud.yaml', 'forge.yaml', 'voting.yaml', 'vpn.yaml'])(
  '%s runs without what is not honoured when the user says so',
  async (file) => {
    const { stack, findings } = await outcome(file, true)
    expect(stack).toBeDefined()
    expect(findings).toHaveLength(OUTCOMES[file]!.findings!.length)
    for (const finding of findings) expect(finding).toContain('warning: ')
  },
)

it('allowing what is not honoured excuses no mistake', async () => {
  const { stack, findings } = await outcome('mail.yaml', true)
  expect(stack).toBeUndefined()
  expect(findings.filter((finding) => !finding.includes('warning: '))).toHaveLength(3)
})
