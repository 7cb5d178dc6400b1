/** That the simulation can fail: parts bent on purpose, one mistake each, and the rule that notices. */
import { expect, test } from 'vitest'
import type { Engine } from '../../agent/docker/engine.ts'
import type { Supervisor } from '../../agent/parts.ts'
import type { Judgement, Loop } from '../../coordinator/loop.ts'
import type { World } from '../../coordinator/world.ts'
import type { Assignment } from '../../shared/wire/down.ts'
import { StoreDisk } from './disk.ts'
import { CLUSTER } from './host.ts'
import { runSeed } from './run.ts'
import type { Bend } from './simulation.ts'

const SEEDS_MAX = 150

/** The rules that the mutant breaks within some seeds; ends at the first of those expected. */
async function rulesBroken(bend: () => Bend, expected: string): Promise<string[]> {
  const broken = new Set<string>()
  for (let seed = 1; seed <= SEEDS_MAX && !broken.has(expected); seed++) {
    const { violation } = await runSeed(seed, { bend: bend(), traceLinesMax: 10 })
    if (violation) broken.add(violation.rule)
  }
  return [...broken]
}

test.each<[string, string, () => Bend]>([
  [
    'an agent that takes an old assignment for a new one',
    'a revision means one assignment',
    () => ({ supervisor: takesOldForNew }),
  ],
  [
    'a coordinator that answers before the flush',
    'an acknowledged change is never lost',
    () => ({ loop: answersBeforeTheFlush }),
  ],
  ['a coordinator that does not check host ports', 'room is promised once', () => ({ judgement: withoutPorts })],
  [
    'an agent that takes strangers for its own',
    'a foreign container is never touched',
    () => ({ engine: (engine) => ownsEverything(engine) }),
  ],
  ['a coordinator that thinks again and again', 'the coordinator does not fail', () => ({ judgement: decidesAgain })],
  [
    'a store that forgets a part of what it took',
    'an acknowledged change is never lost',
    () => ({ disk: new ForgetfulDisk() }),
  ],
  [
    'an agent that stops containers when it starts',
    'nothing is restarted without cause',
    () => ({ engine: restartsAtFirstSight }),
  ],
  ['an agent that starts whatever it finds ended', 'what has ended stays so', () => ({ engine: startsWhatHasEnded })],
  ['a coordinator that gives lost nodes up for good', 'all is as wanted', () => ({ judgement: neverReadyAgain })],
])('%s breaks "%s"', { timeout: 240_000 }, async (_mutant, rule, bend) => {
  expect(await rulesBroken(bend, rule)).toContain(rule)
})

// ---------------------------------------------------------------- the mistakes

/** Some time after a complete assignment it is handed over again, with a number that lets it pass for a new one. */
function takesOldForNew(supervisor: Supervisor): Supervisor {
  let old: Assignment | null = null
  return bent(supervisor, {
    assign: async (message) => {
      if (message.kind === 'assignment') old ??= message
      const outcome = await supervisor.assign(message)
      if (old && message.revision > old.revision + 3) {
        const replayed = { ...old, revision: message.revision + 1 }
        old = null
        await supervisor.assign(replayed)
      }
      return outcome
    },
  })
}

function answersBeforeTheFlush(loop: Loop): Loop {
  return bent(loop, {
    submit: async (change) => {
      loop.submit(change).catch(() => {})
      return loop.world.revision
    },
  })
}

function withoutPorts(judgement: Judgement): Judgement {
  return { ...judgement, decide: (world, ...rest) => judgement.decide(portless(world), ...rest) }
}

/** The same picture, in which nobody asks for a port. */
function portless(world: World): World {
  const services = new Map(
    [...world.services].map(([name, service]) => {
      const versions = new Map(
        [...service.versions].map(([number, version]) => {
          const { task } = version.spec
          const container = { ...task.container, ports: [] }
          return [number, { ...version, spec: { ...version.spec, task: { ...task, container } } }]
        }),
      )
      return [name, { ...service, versions }]
    }),
  )
  return { ...world, services }
}

function ownsEverything(engine: Engine): Engine {
  const node = engine.place.split('/')[3] ?? ''
  const own = <T extends { cluster: string; node: string }>(found: T): T => ({ ...found, cluster: CLUSTER, node })
  return bent(engine, {
    list: async () => (await engine.list()).map(own),
    inspect: async (id) => {
      const found = await engine.inspect(id)
      return found && own(found)
    },
  })
}

function decidesAgain(judgement: Judgement): Judgement {
  return {
    ...judgement,
    decide(world, ...rest) {
      const decided = judgement.decide(world, ...rest)
      const [waiting] = world.tasksWaiting
      if (!waiting) return decided
      const again = { kind: 'hold-task' as const, task: waiting.id, refusals: waiting.waitsFor }
      return { ...decided, decisions: [...decided.decisions, again] }
    },
  }
}

/** Every so often what is to be written of a service is not. */
class ForgetfulDisk extends StoreDisk {
  private count = 0

  override storeOf(...given: Parameters<StoreDisk['storeOf']>) {
    const store = super.storeOf(...given)
    return {
      ...store,
      transact: (...[writes, compares]: Parameters<typeof store.transact>) => {
        const kept = writes.filter(({ key }) => key[1] !== 'service' || this.count++ % 5 !== 0)
        return store.transact(kept, compares)
      },
    }
  }
}

function restartsAtFirstSight(engine: Engine): Engine {
  return bent(engine, {
    list: async () => {
      const listed = await engine.list()
      for (const { id, cluster } of listed) if (cluster === CLUSTER) await engine.stop(id, 0)
      return listed
    },
  })
}

function startsWhatHasEnded(engine: Engine): Engine {
  return bent(engine, {
    inspect: async (id) => {
      const found = await engine.inspect(id)
      if (found?.state === 'exited' && found.cluster === CLUSTER) await engine.start(found.id)
      return found
    },
  })
}

function neverReadyAgain(judgement: Judgement): Judgement {
  return {
    ...judgement,
    decide(world, ...rest) {
      const decided = judgement.decide(world, ...rest)
      const decisions = decided.decisions.filter(
        (decision) =>
          decision.kind !== 'set-node-status' ||
          decision.status.name !== 'ready' ||
          world.nodes.get(decision.node)?.status.name !== 'lost',
      )
      return { ...decided, decisions }
    },
  }
}

/** The part with some of its verbs in other words; getters stay live. */
function bent<T extends object>(part: T, verbs: Partial<T>): T {
  return new Proxy(part, {
    get(target, name) {
      if (name in verbs) return verbs[name as keyof T]
      const value = target[name as keyof T]
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
