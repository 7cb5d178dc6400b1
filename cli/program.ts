/** Every command with its options. What a command does is loaded when it runs, so that each starts fast. */
import { Command, InvalidArgumentError, Option } from 'commander'
import { METRIC_GROUPINGS, REDUCTIONS, TOP_SORTS } from '../shared/metric-names.ts'
import type { Context } from './context.ts'
import { addAgentFlags, addCoordinatorFlags } from './daemon-flags.ts'
import { parseDuration, parseMoment } from './figures.ts'
import type { Output } from './output.ts'

/** Epoch ms. */
function moment(text: string): number {
  const at = parseMoment(text, Date.now())
  if (at === null) throw new InvalidArgumentError('Write it like 30s, 10m, 2h or 2026-11-26T10:00:00Z.')
  return at
}

function level(text: string): string {
  if (LEVELS.includes(text)) return text
  throw new InvalidArgumentError(`It is one of ${LEVELS.join(', ')}.`)
}

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal']

const waitTimeoutMs = 5 * 60_000

/** `isJson`: what is wrong with the usage is thrown and not printed. */
export function createProgram(out: Output, version: string, isJson = false): Command {
  const program = new Command('berth')
    .description('Runs containers on a fleet of Docker hosts.')
    .version(version, '-V, --version', 'print the version')
    .exitOverride()
    .configureOutput(isJson ? { writeErr: () => undefined } : {})
    .showHelpAfterError('(berth --help lists the commands, berth COMMAND --help its options)')
  const context = (json = false): Context => ({ out, json, env: process.env })
  addStarting(program, context)
  addLooking(program, context)
  addAlerts(program, context)
  addForwarding(program, context)
  addQuestions(program, context)
  addChanging(program, context)
  addAccess(program, context, version)
  return program
}

type MakeContext = (json?: boolean) => Context

function addStarting(program: Command, context: MakeContext): void {
  addJson(program.command('up').description('coordinator and agent on this host, in the foreground'))
    .option('--data <DIR>', 'folder for the data of both', '/var/lib/berth')
    .option('--listen <HOST:PORT>', 'where the coordinator listens', '0.0.0.0:23784')
    .option('--docker <HOST>', 'Engine of the agent: unix:///var/run/docker.sock, tcp://…')
    .option('--name <NAME>', 'name of the node')
    .option('--deploy <FILE>', 'Compose file to deploy once both run')
    .action(async (options) => (await import('./commands/up.ts')).up(context(options.json), options))
  addCoordinatorFlags(program.command('coordinator').description('run the coordinator')).action(async (options) =>
    (await import('./start.ts')).startCoordinator(options),
  )
  addAgentFlags(program.command('agent').description('run the agent on this host')).action(async (options) =>
    (await import('./start.ts')).startAgent(options, process.env),
  )
}

function addLooking(program: Command, context: MakeContext): void {
  const lists = () => import('./commands/lists.ts')
  addJson(program.command('status').description('the cluster in a few lines')).action(async ({ json }) =>
    (await import('./commands/status.ts')).status(context(json)),
  )
  addJson(program.command('nodes [NODE]').description('list the nodes, or show one')).action(async (name, { json }) =>
    (await lists()).nodes(context(json), name),
  )
  addJson(program.command('services [SERVICE]').description('list the services, or show one'))
    .option('--stack <STACK>', 'only of this stack')
    .action(async (name, options) => (await lists()).services(context(options.json), name, options))
  addJson(program.command('ps [STACK|SERVICE|TASK]').description('list the tasks'))
    .option('--node <NODE>', 'only on this node')
    .option('-a, --all', 'also those that were stopped')
    .action(async (name, options) => (await lists()).ps(context(options.json), name, options))
  addJson(program.command('stacks').description('list the stacks')).action(async ({ json }) =>
    (await lists()).stacks(context(json)),
  )
  addJson(program.command('logs <STACK|SERVICE|TASK>').description('log lines, in order of time'))
    .option('-f, --follow', 'go on with new lines')
    .option('-n, --tail <N>', 'only the last N lines of each task', wholeNumber)
    .option('--since <TIME>', 'only lines younger than this: 30s, 10m, 2h, or since 2026-11-26T10:00:00Z', moment)
    .option('--until <TIME>', 'only lines older than this', moment)
    .option('-g, --grep <RE>', 'only lines in which this regular expression is')
    .option('--level <LEVEL>', 'only lines that say they are at least trace, debug, info, warn, error or fatal', level)
    .option(
      '--field <TEST>',
      'only JSON lines with such a field: status>=500, user.id=42, path!=/healthz, error; several may be given',
      collect,
    )
    .option('-C, --context <N>', 'with N lines before and after each that is found (up to 1000)', upTo(1_000))
    .option('-t, --timestamps', 'with the time of each line')
    .action(async (target, options) =>
      (await import('./commands/logs.ts')).logs(context(options.json), target, options),
    )
  addJson(program.command('events').description('what happened'))
    .option('-f, --follow', 'go on with new events')
    .option('-n, --limit <N>', 'the last N events', wholeNumber)
    .option('--stack <STACK>', 'only of this stack')
    .option('--service <SERVICE>', 'only of this service')
    .option('--node <NODE>', 'only of this node')
    .option('--type <TYPES>', 'only of these types: task-failed,node-*')
    .option('--since <TIME>', 'only younger than this: 30s, 10m, 2h', milliseconds)
    .action(async ({ json, ...options }) => (await import('./commands/events.ts')).events(context(json), options))
  addJson(program.command('audit').description('who changed what, from where, and what came of it'))
    .option('-n, --limit <N>', 'the last N changes', atLeastOne)
    .option('--since <TIME>', 'only younger than this: 30s, 10m, 2h', milliseconds)
    .action(async ({ json, ...options }) => (await import('./commands/audit.ts')).audit(context(json), options))
  addMetrics(program, context)
  const incidents = () => import('./commands/incident.ts')
  const incident = program.command('incident').description('what went bad, with what it printed and why it was there')
  addJson(incident.command('ls [SERVICE|NODE]').description('what went bad, newest first'))
    .option('-n, --limit <N>', 'the last N incidents', atLeastOne)
    .option('--since <TIME>', 'only those that went on in this time: 30s, 10m, 2h', milliseconds)
    .action(async (about, { json, ...options }) => (await incidents()).listIncidents(context(json), about, options))
  addJson(incident.command('show <ID>').description('one of them, with its evidence')).action(async (id, { json }) =>
    (await incidents()).showIncident(context(json), id),
  )
  const recordings = () => import('./commands/record.ts')
  addJson(program.command('record').description('keep in a file what was observed and decided of late'))
    .option('-o, --output <FILE>', 'the file (default: berth-TIME.recording)')
    .option('--force', 'even if the file is there already')
    .action(async ({ json, ...options }) => (await recordings()).record(context(json), options))
  addJson(program.command('replay [FILE]').description('judge a recording again, by the same rules or another policy'))
    .option('--policy <POLICY>', 'first-fit, binpack, spread or least-loaded')
    .action(async (file, { json, ...options }) => (await recordings()).replay(context(json), file, options))
}

function addAlerts(program: Command, context: MakeContext): void {
  const commands = () => import('./commands/alerts.ts')
  const alerts = program.command('alerts').description('what fires, who is told, and silences')
  addJson(alerts.command('ls').description('what fires or is about to, and the silences')).action(async ({ json }) =>
    (await commands()).listAlerts(context(json)),
  )
  addJson(alerts.command('set').description('replace rules and receivers with those of a file'))
    .requiredOption('-f, --file <FILE>', 'YAML file with rules and receivers, - is standard input')
    .action(async ({ json, ...options }) => (await commands()).setAlerts(context(json), options))
  addJson(alerts.command('test').description('send each receiver a test')).action(async ({ json }) =>
    (await commands()).testAlerts(context(json)),
  )
  addJson(alerts.command('silence').description('tell nobody for a while; without a name, of anything'))
    .requiredOption('--for <TIME>', 'how long: 30m, 2h, 1d', milliseconds)
    .option('--rule <RULE>', 'only of this rule')
    .option('--node <NODE>', 'only of this node')
    .option('--service <SERVICE>', 'only of this service')
    .option('--comment <TEXT>', 'why')
    .action(async ({ json, ...options }) => (await commands()).silenceAlerts(context(json), options))
  addJson(alerts.command('unsilence <SILENCE>').description('end a silence')).action(async (id, { json }) =>
    (await commands()).unsilenceAlerts(context(json), id),
  )
}

function addForwarding(program: Command, context: MakeContext): void {
  const commands = () => import('./commands/forwarding.ts')
  const forward = program.command('forward').description('log lines and figures for Loki, OTLP and syslog')
  addJson(forward.command('ls').description('where to, how far each target is, and what is wrong')).action(
    async ({ json }) => (await commands()).listForwarding(context(json)),
  )
  addJson(forward.command('set').description('replace the targets with those of a file'))
    .requiredOption('-f, --file <FILE>', 'YAML file with targets, - is standard input')
    .action(async ({ json, ...options }) => (await commands()).setForwarding(context(json), options))
  addJson(forward.command('test').description('send each target a test')).action(async ({ json }) =>
    (await commands()).testForwarding(context(json)),
  )
}

function addMetrics(program: Command, context: MakeContext): void {
  addJson(program.command('stats <SERVICE|TASK|STACK|NODE>').description('what was used over time, as a plot'))
    .option('--since <TIME>', 'from then on: 10m, 2h, 7d ago, or since 2026-11-26T10:00:00Z (default: 1h)', moment)
    .option('--until <TIME>', 'up to then (default: now)', moment)
    .option(
      '--metric <METRIC>',
      'cpu, memory, network-receive, …; several may be given (default: cpu and memory)',
      collect,
    )
    .addOption(new Option('--by <WHAT>', 'a row for each').choices(METRIC_GROUPINGS))
    .addOption(new Option('--reduce <HOW>', 'what becomes of the points of a step (default: mean)').choices(REDUCTIONS))
    .action(async (name, { json, ...options }) =>
      (await import('./commands/stats.ts')).stats(context(json), name, options),
    )
  addJson(program.command('top').description('who uses most now: live on a terminal, else once'))
    .option('--nodes', 'nodes rather than tasks')
    .addOption(new Option('--sort <WHAT>', 'by what').choices(TOP_SORTS).default('cpu'))
    .option('--reverse', 'smallest first')
    .option('-n, --limit <N>', 'so many rows', atLeastOne, 100)
    .option('--stack <STACK>', 'only of this stack')
    .option('--service <SERVICE>', 'only of this service')
    .option('--node <NODE>', 'only on this node')
    .addOption(
      new Option('--interval <TIME>', 'how often it is drawn anew').argParser(milliseconds).default(2_000, '2s'),
    )
    .action(async ({ json, ...options }) => (await import('./commands/top.ts')).top(context(json), options))
}

function addChanging(program: Command, context: MakeContext): void {
  const changes = () => import('./commands/changes.ts')
  const deploying = program.command('deploy').description('deploy Compose files as a stack, and wait until it is up')
  addFiles(addWait(addJson(deploying)))
    .option('--attach <STACK>', 'follow a deployment that is on its way')
    .action(async (options) => (await import('./commands/deploy.ts')).deploy(context(options.json), options))
  addWait(addJson(program.command('scale <SERVICE=N...>').description('set how many tasks services have'))).action(
    async (pairs, options) => (await changes()).scale(context(options.json), pairs, options),
  )
  addWait(addJson(program.command('rollback <SERVICE>').description('go back to the version before'))).action(
    async (service, options) => (await changes()).rollback(context(options.json), service, options),
  )
  addWait(addJson(program.command('rm <STACK>').description('remove a stack and its tasks'))).action(
    async (stack, options) => (await changes()).removeStack(context(options.json), stack, options),
  )
  addWait(addJson(program.command('drain <NODE>').description('move all tasks away from a node'))).action(
    async (node, options) => (await changes()).drain(context(options.json), node, options),
  )
  addJson(program.command('activate <NODE>').description('let tasks come to a node again')).action(
    async (node, { json }) => (await changes()).activate(context(json), node),
  )
  const node = program.command('node').description('remove, label, taint and set nodes')
  addJson(node.command('rm <NODE>').description('forget a node and refuse its certificate')).action(
    async (name, { json }) => (await changes()).removeNode(context(json), name),
  )
  addJson(node.command('label <NODE> <LABELS...>').description('KEY=VALUE sets a label, KEY- removes it')).action(
    async (name, labels, { json }) => (await changes()).labelNode(context(json), name, labels),
  )
  addWait(addJson(program.command('rebalance').description('show which moves would make the cluster better')))
    .option('--apply', 'move them, start-first and a few at a time; stops at the first that fails')
    .option('--undo', 'take the last rebalance back')
    .option('--auto <N>', 'from now on move at most N tasks an hour without being asked; off: none')
    .option('--moves <N>', 'at most so many (default: 20)', atLeastOne)
    .option('--at-once <N>', 'so many at a time (default: 2)', atLeastOne)
    .action(async ({ json, ...options }) => (await import('./commands/rebalance.ts')).rebalance(context(json), options))
  const settings = () => import('./commands/settings.ts')
  addJson(
    node.command('taint <NODE> <TAINTS...>').description('KEY=VALUE:EFFECT keeps tasks away, KEY- lets them come'),
  )
    .addHelpText('after', '\nEffects: no-schedule, prefer-no-schedule, no-execute (also moves what runs).')
    .action(async (name, taints, { json }) => (await settings()).taintNode(context(json), name, taints))
  addJson(
    node.command('set <NODE> <KEY=VALUE...>').description('what is kept back, and how often the rest is promised'),
  )
    .addHelpText(
      'after',
      '\nKeys: cpu-reserve, memory-reserve, disk-reserve; cpu-overcommit, memory-overcommit, disk-overcommit.',
    )
    .action(async (name, pairs, { json }) => (await settings()).setNode(context(json), name, pairs))
  const cluster = program.command('cluster').description('settings of the cluster as a whole')
  addJson(cluster.command('show').description('show them')).action(async ({ json }) =>
    (await settings()).showCluster(context(json)),
  )
  addJson(
    cluster
      .command('set <KEY=VALUE...>')
      .description('policy=binpack, survive=any-node, preemption=false, rebalance=20 or off'),
  ).action(async (pairs, { json }) => (await settings()).setCluster(context(json), pairs))
}

function addQuestions(program: Command, context: MakeContext): void {
  addJson(
    program.command('why <TASK|SERVICE>').description('why it is where it is, why it waits or stands still'),
  ).action(async (name, { json }) => (await import('./commands/why.ts')).why(context(json), name))
  addFiles(
    addJson(program.command('plan').description('what deploying the same files would do; changes nothing')),
  ).action(async (options) => (await import('./commands/plan.ts')).plan(context(options.json), options))
  addJson(program.command('what-if').description('what would come of nodes lost or added, and services scaled'))
    .option('--lose <NODE...>', 'suppose that these nodes are lost')
    .option('--lose-label <KEY=VALUE>', 'suppose that all nodes with this label are lost', collect)
    .option('--add <SPEC>', 'suppose one more node: cpu=8,memory=32G,labels.zone=a,count=2', collect)
    .option('--scale <SERVICE=N>', 'suppose that the service has N tasks', collect)
    .action(async ({ json, ...options }) => (await import('./commands/what-if.ts')).whatIf(context(json), options))
}

function addAccess(program: Command, context: MakeContext, version: string): void {
  const tokens = () => import('./commands/token.ts')
  const token = program.command('token').description('show, make and rotate tokens')
  addJson(token.command('join').description('the line that joins a host')).action(async ({ json }) =>
    (await tokens()).showJoinLine(context(json)),
  )
  addJson(token.command('show <join>').description('the join token alone')).action(async (which, { json }) => {
    if (which !== 'join') token.error(`error: only the join token can be shown, not '${which}'`)
    return (await tokens()).showJoinToken(context(json))
  })
  addJson(token.command('rotate <join|operator>').description('make a new token; the old one is refused'))
    .option('--expires <TIME>', 'how long the join token counts: 30m, 24h, 7d (default: until it is rotated)', lifetime)
    .action(async (which, options) => (await tokens()).rotateToken(context(options.json), which, options))
  addJson(token.command('create <NAME>').description('make a token that may read and changes nothing')).action(
    async (name, { json }) => (await tokens()).createReader(context(json), name),
  )
  addJson(token.command('ls').description('the tokens that may read')).action(async ({ json }) =>
    (await tokens()).listReaders(context(json)),
  )
  addJson(token.command('rm <NAME>').description('take such a token back')).action(async (name, { json }) =>
    (await tokens()).removeReader(context(json), name),
  )
  addJson(program.command('login <URL>').description('keep where the coordinator is, its CA and the token'))
    .option('--token-file <FILE>', 'file with the operator token')
    .option('--token-stdin', 'read the operator token from standard input')
    .option('--ca <FILE>', "the coordinator's CA in PEM form")
    .option('--fingerprint <HEX>', "SHA-256 of the CA's public key, as in the join token")
    .action(async (url, options) => (await import('./commands/login.ts')).login(context(options.json), url, options))
  addJson(program.command('version').description('print the version')).action(({ json }) => {
    const { out } = context()
    if (json) out.document({ version, node: process.version })
    else out.line(`berth ${version} (Node ${process.version})`)
  })
}

function addJson(command: Command): Command {
  return command.option('--json', 'answer as data')
}

function addWait(command: Command): Command {
  return command
    .option('-d, --detach', 'do not wait')
    .addOption(
      new Option('--timeout <TIME>', 'how long to wait: 90s, 5m, 1h')
        .argParser(milliseconds)
        .default(waitTimeoutMs, '5m'),
    )
}

function addFiles(command: Command): Command {
  return command
    .option('-f, --file <FILE>', 'Compose file; several are merged, - is standard input', collect)
    .option('--stack <NAME>', 'name of the stack')
    .option('--profile <NAME>', 'with the services of this profile', collect)
    .option('--env-file <FILE>', 'variables for the Compose file', collect)
    .option('--project-directory <DIR>', 'folder that relative paths begin at')
    .option('--allow-unsupported', 'warn of what Berth does not honour instead of refusing it')
    .option('--no-prune', 'keep services that the files do not name any more')
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value]
}

function milliseconds(text: string): number {
  const ms = parseDuration(text)
  if (ms === null || ms > 2 ** 31 - 1) throw new InvalidArgumentError('Write it like 30s, 10m or 2h.')
  return ms
}

function lifetime(text: string): number {
  const ms = parseDuration(text)
  if (ms === null) throw new InvalidArgumentError('Write it like 30m, 24h or 7d.')
  return ms
}

function wholeNumber(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

function upTo(most: number): (text: string) => number {
  return (text) => {
    const number = wholeNumber(text)
    if (number > most) throw new InvalidArgumentError(`It is at most ${most}.`)
    return number
  }
}

function atLeastOne(text: string): number {
  const number = wholeNumber(text)
  if (number === 0) throw new InvalidArgumentError('It must be at least 1.')
  return number
}
