/**
 * The coordinator's whole picture, and the three kinds of value that change it. Only `store/apply.ts` writes to a World;
 * everybody else reads. Same values in the same order give the same World.
 */
import type { Instant } from '../shared/clock.ts'
import type { ClusterSettings, ClusterSettingsChange } from '../shared/cluster-settings.ts'
import type { ContainerLoad, HostLoad } from '../shared/load.ts'
import type { ServiceSpec, StackSpec, Taint, TaintEffect } from '../shared/spec.ts'
import type { Health, TaskState } from '../shared/task-state.ts'
import type { EngineInfo, Hello, NodeInventory, Notice, TaskError, TaskObservation } from '../shared/wire/up.ts'
import type { LoadHistory } from './decide/load-history.ts'
import type { ServiceUsage } from './decide/service-usage.ts'
import type { Tally } from './store/tally.ts'

export type NodeName = string
export type ServiceName = string
export type TaskId = string

// ---------------------------------------------------------------- the picture

export type World = {
  cluster: string
  /** Counts applied values; the store's revision. */
  revision: number
  /** Number for the next task's id: ids come from the world, not from chance. */
  nextTaskNumber: number
  settings: ClusterSettings
  nodes: Map<NodeName, Node>
  stacks: Map<string, Stack>
  services: Map<ServiceName, Service>
  tasks: Map<TaskId, Task>
  /** Derived; kept by apply, never stored. A missing key means an empty set. */
  tasksByService: Map<ServiceName, Set<Task>>
  tasksByNode: Map<NodeName, Set<Task>>
  /** Derived: tasks that want to run and have no node yet. */
  tasksWaiting: Set<Task>
  /** Derived: tasks that were told to stop and are not forgotten yet. */
  tasksStopping: Set<Task>
  /** Derived: services that time or others' progress may move on (rolling, held, removing), looked at on every beat. */
  servicesInMotion: Set<ServiceName>
  /** Derived: services that some node keeps failing, and tasks that fail in a row, or did in their last run. */
  servicesFailing: Set<ServiceName>
  tasksFailing: Set<Task>
  /** Derived from heartbeats: what tasks of each service were measured to use. A missing key means never measured. */
  usageByService: Map<ServiceName, ServiceUsage>
  /** Derived: tasks counted by what is asked of them. Absent of a world that nobody asks: whoever does looks at each task. */
  tally?: Tally | undefined
  /** Newest last; so many as REBALANCES_MAX are kept. */
  rebalances: Rebalance[]
  /** When it was last asked whether moving tasks on its own account would gain anything. Not stored: after a start it is asked soon. */
  rebalanceLookedAt: Instant
}

/** Tasks on their way to better places, a few at a time. */
export type Rebalance = {
  number: number
  by: 'operator' | 'auto' | 'undo'
  /** The one that it takes back. */
  undoes: number | null
  startedAt: Instant
  endedAt: Instant | null
  state: 'moving' | 'done' | 'stopped'
  /** Why no further moves are begun. */
  why: string | null
  atOnce: number
  moves: RebalanceMove[]
}

export type RebalanceMove = {
  task: TaskId
  service: ServiceName
  slot: number
  from: NodeName
  to: NodeName
  state: 'waiting' | 'moving' | 'done' | 'failed' | 'skipped'
  startedAt: Instant | null
  /** The task that took over. */
  replacement: TaskId | null
  why: string | null
}

export type Node = {
  name: NodeName
  /** SHA-256 of the public key that the agent joined with; null until a removed name joins again. */
  keyFingerprint: string
  joinedAt: Instant
  availability: 'active' | 'drain'
  /** Set by operators; wins over the labels that the agent brings. */
  operatorLabels: Record<string, string>
  agentLabels: Record<string, string>
  inventory: NodeInventory | null
  /** One of each key and effect. */
  taints: Taint[]
  /** Kept back for the host's own needs: never promised. */
  reserve: Amounts
  overcommit: Overcommit
  /** Numbers this node's assignments; grows with every change to its tasks. */
  assignmentRevision: number
  status: NodeStatus
  // --- observed, not stored: empty after a start of the coordinator until the agent speaks
  engine: EngineInfo | null
  engineSince: Instant
  connection: Connection | null
  load: HostLoad | null
  /** The recent peak of the load, and what it is derived from. Outlives connections. */
  loadHistory: LoadHistory
  /** When its containers' loads were last added to `usageByService`. */
  usageSampledAt: Instant
  containerLoads: Map<TaskId, ContainerLoad>
  heard: HeardStatistics
  /** Whether the agent has said everything it knows on this connection; before that its old facts may mislead. */
  fullyObserved: boolean
  agentVersion: string | null
  /** Agent's clock minus ours; see decide/clock-skew.ts. */
  clockSkewMs: number
  /** Revision of the assignment that the agent says it acts on. */
  appliedRevision: number
}

export type Amounts = { cpuCores: number; memoryBytes: number; diskBytes: number }

/** How many times what there is may be promised. */
export type Overcommit = { cpu: number; memory: number; disk: number }

/** What the loop holds of a node: `disconnected` has a grace in which nothing moves, `lost` has none left. */
export type NodeStatus =
  | { name: 'joining'; since: Instant }
  | { name: 'ready'; since: Instant }
  /**
   * `goodbye`: the agent stopped on purpose (upgrade), so it gets a longer grace. `alone`: no other node was heard either, so
   * its grace begins only when one is.
   */
  | { name: 'disconnected'; since: Instant; why: string; goodbye?: boolean; alone?: boolean }
  | { name: 'engine-down'; since: Instant; why: string }
  | { name: 'lost'; since: Instant; why: string }

export type Connection = {
  instance: string
  openedAt: Instant
  address: string
  wireVersion: number
  /** How long its agent may wait between two heartbeats; absent: as long as in small clusters. */
  heartbeatIntervalMs?: number
}

/** What the liveness detector has learnt of a node's usual interval between messages. */
export type HeardStatistics = {
  /** Any message. */
  lastAt: Instant
  /** The last heartbeat; the interval is learnt from heartbeats alone, as other messages come in bursts. */
  lastBeatAt: Instant
  meanIntervalMs: number
  varianceMs2: number
  samples: number
}

export type Stack = { name: string; deployedAt: Instant; deployment: number }

export type Service = {
  name: ServiceName
  stack: string
  /** Name within the stack. */
  shortName: string
  createdAt: Instant
  /** The wanted version; its spec stands in `versions`. */
  version: number
  /** Specs by version: the wanted one, the one to roll back to, and those that tasks still run. */
  versions: Map<number, ServiceVersion>
  /** True once stopped for good: its tasks are being removed, then the service itself. */
  removing: boolean
  rollout: Rollout
  /** Whether this version's dependencies have been met; a service not released gets no tasks of the wanted version. */
  release: { version: number; state: 'held'; waitsFor: DependencyWait[] } | { version: number; state: 'released' }
  /** Node of each slot whose tasks have a named volume: their data is there, so the slot stays there. */
  homes: Map<number, NodeName>
}

export type ServiceVersion = {
  version: number
  spec: ServiceSpec
  /** Tasks of another hash are replaced. Holds the hashes of those that the task is to be restarted with (`depends_on.restart`). */
  taskHash: string
  /** Of the task alone; absent: that is `taskHash`. */
  ownHash?: string
  /** For which its image turned out not to be made, as `linux/arm64`. Never of a spec that names its platform. */
  refusedPlatforms?: string[]
  /** Which nodes keep failing its tasks; absent: none. See decide/failing.ts. */
  failing?: Failing
  createdAt: Instant
}

export type Failing = {
  /** They get none of its tasks for now, and give away those that fail there. */
  nodes: FailingNode[]
  /** How many were given up without one of its tasks doing well since. */
  inARow: number
  /** When the last one was. */
  at: Instant
  /** Why its failing tasks are not tried on yet another node; absent: they are. */
  stays?: string
}

/** `failures`: of `task` there in a row. */
export type FailingNode = {
  node: NodeName
  at: Instant
  until: Instant
  task: TaskId
  failures: number
  why: string
}

export type DependencyWait = { service: ServiceName; condition: string; now: string }

export type Rollout =
  | { state: 'settled'; version: number; finishedAt: Instant }
  | { state: 'rolling'; version: number; from: number | null; startedAt: Instant; failures: RolloutFailure[] }
  | {
      state: 'paused'
      version: number
      from: number | null
      startedAt: Instant
      why: string
      failures: RolloutFailure[]
    }
  | {
      state: 'rolling-back'
      version: number
      failed: number
      startedAt: Instant
      why: string
      failures: RolloutFailure[]
    }
  | {
      state: 'rolled-back'
      version: number
      failed: number
      finishedAt: Instant
      why: string
      failures: RolloutFailure[]
    }

export type RolloutFailure = { task: TaskId; node: NodeName; at: Instant; why: string }

export type Task = {
  id: TaskId
  service: ServiceName
  /** From 1 within a replicated service; 0 for a global one. */
  slot: number
  version: number
  /** Null while it waits. */
  node: NodeName | null
  /** The one node that it may go to: a global service's task is made for a node, and so is one that a rebalance moves. Null: any that passes the checks. */
  onlyNode: NodeName | null
  desired: 'running' | 'stopped'
  /** Where another task is to take over from it; absent: nowhere. */
  moveTo?: NodeName
  createdAt: Instant
  placedAt: Instant
  /** When it was first up (running, and healthy where it has a healthcheck; or completed), by our clock; null: never yet. */
  firstUpAt: Instant | null
  stopReason: string | null
  /** Why it has no node yet, by check; empty once it has one. */
  waitsFor: Refusal[]
  /** While it waits: where room is being made for it, and held against all of no higher priority. */
  nomination?: Nomination
  /** Of a task that was stopped for one of higher priority, and of the one that takes its slot: by whom and what for. */
  preempted?: Preempted
  /** While it waits: when it was said that it waits for long already, and why nobody is stopped for it. */
  waitTold?: { at: Instant; why: string }
  /** Why it has the node that it has; absent while it waits, and of tasks placed by a version of Berth that did not keep it. */
  reason?: PlacementReason
  observed: Observed
}

/** Room on a node that is not free yet: tasks leave it, of themselves or because they were told to for this. */
export type Nomination = { node: NodeName; at: Instant; victims: TaskId[] }

/** Who had to make room for whom. */
export type Preempted = {
  /** The task that was stopped; kept on the one that takes its place. */
  task: TaskId
  by: TaskId
  priority: number
  byPriority: number
  /** What the other lacked there. */
  lacked: Refusal
}

/** The latest word of the agent about a task; `assigned` until the first. */
export type Observed = {
  attempt: number
  state: TaskState
  since: Instant
  health: Health
  healthSince: Instant
  healthMessage: string | null
  containerId: string | null
  imageId: string | null
  exitCode: number | null
  oomKilled: boolean
  /** How many of its runs ended because their Engine or host stopped. */
  interruptions: number
  /** How many failed in a row, the present one or the last one among them; absent: none, or its agent does not tell. */
  failures?: number
  /** It had ended for good, held no room meanwhile, and runs again: see decide/returned.ts. */
  returned?: true
  error: TaskError | null
  restartAt: Instant | null
  ports: { containerPort: number; hostPort: number; protocol: string }[]
}

/** "No" with its reason, as data: one check that failed, on one node or (node null) everywhere. */
export type Refusal = {
  node: NodeName | null
  check:
    | 'liveness'
    | 'availability'
    | 'engine'
    | 'constraint'
    | 'cpu'
    | 'memory'
    | 'disk'
    | 'generic'
    | 'taint'
    | 'affinity'
    | 'host-port'
    | 'max-per-node'
    | 'volume'
    | 'platform'
    | 'failing'
    | 'no-nodes'
  /** Figures and names, e.g. `{ neededBytes, freeBytes }`, `{ attribute, operator, value, has }`, `{ port, heldBy }`. */
  figures: Record<string, string | number | null>
}

// ---------------------------------------------------------------- the values that change it

/** What a user asked for. Admitted (checked against the world) before it is applied. */
export type Change =
  | { kind: 'deploy-stack'; spec: StackSpec; prune: boolean }
  | { kind: 'remove-stack'; stack: string }
  | { kind: 'scale-service'; service: ServiceName; replicas: number }
  | { kind: 'rollback-service'; service: ServiceName }
  | { kind: 'set-availability'; node: NodeName; availability: Node['availability'] }
  | { kind: 'label-node'; node: NodeName; set: Record<string, string>; remove: string[] }
  /** A taint in `set` replaces the one of its key and effect; `remove` without an effect takes away all of the key. */
  | { kind: 'taint-node'; node: NodeName; set: Taint[]; remove: { key: string; effect?: TaintEffect }[] }
  /** What is not named stays as it is. */
  | { kind: 'set-node'; node: NodeName; reserve: Partial<Amounts>; overcommit: Partial<Overcommit> }
  | { kind: 'set-cluster'; settings: ClusterSettingsChange }
  | { kind: 'rebalance'; moves: { task: TaskId; to: NodeName }[]; atOnce: number }
  | { kind: 'undo-rebalance'; atOnce: number }
  | { kind: 'join-node'; node: NodeName; keyFingerprint: string }
  | { kind: 'remove-node'; node: NodeName }

/** What an agent sent, or what its connection told. `at` is the coordinator's clock. */
export type Observation =
  | { kind: 'connected'; node: NodeName; hello: Hello; connection: Connection }
  | { kind: 'disconnected'; node: NodeName; instance: string; why: string; goodbye: boolean }
  | {
      kind: 'tasks'
      node: NodeName
      full: boolean
      revision: number
      engine: EngineInfo
      tasks: TaskObservation[]
      gone: TaskId[]
    }
  | {
      kind: 'heartbeat'
      node: NodeName
      revision: number
      load: HostLoad
      containers: ContainerLoad[]
      /** The host's clock: it may be set while the connection lasts. */
      hostAt?: Instant
    }
  /** Its heartbeat is late, and it gave another sign of life at `seenAt`, by our clock. */
  | { kind: 'sign-of-life'; node: NodeName; seenAt: Instant }
  /** From here on its heartbeats may come at this interval. */
  | { kind: 'heartbeat-interval'; node: NodeName; heartbeatIntervalMs: number }
  | { kind: 'inventory'; node: NodeName; inventory: NodeInventory }
  | { kind: 'notice'; node: NodeName; notice: Notice }

/** What the loop decided, complete: the one who acts only obeys. */
export type Decision =
  | { kind: 'set-node-status'; node: NodeName; status: NodeStatus }
  | {
      kind: 'create-task'
      task: TaskId
      service: ServiceName
      slot: number
      version: number
      onlyNode?: NodeName
      /** It takes the slot of one that was preempted. */
      preempted?: Preempted
      why: string
    }
  | { kind: 'place-task'; task: TaskId; node: NodeName; why: PlacementReason }
  | { kind: 'hold-task'; task: TaskId; refusals: Refusal[] }
  | { kind: 'stop-task'; task: TaskId; why: string; preempted?: Preempted }
  /** Null: it has none any more. */
  | { kind: 'nominate-task'; task: TaskId; nomination: Nomination | null; why: string }
  /** It waits for room since long: said once. `tasks`: how many of its service do. */
  | { kind: 'tell-wait'; task: TaskId; tasks: number; why: string }
  | { kind: 'forget-task'; task: TaskId; why: string }
  | { kind: 'move-task'; task: TaskId /** Null: it stays after all. */; to: NodeName | null; why: string }
  | { kind: 'begin-rebalance'; moves: { task: TaskId; to: NodeName }[]; atOnce: number }
  | { kind: 'set-rebalance'; rebalance: Rebalance }
  | { kind: 'look-for-rebalance' }
  | { kind: 'set-rollout'; service: ServiceName; rollout: Rollout; wantedVersion: number }
  | { kind: 'set-release'; service: ServiceName; release: Service['release'] }
  /** Null: no node fails the version any more, and none did of late. */
  | { kind: 'set-failing'; service: ServiceName; version: number; failing: Failing | null }
  | { kind: 'forget-version'; service: ServiceName; version: number }
  | { kind: 'forget-service'; service: ServiceName }
  | { kind: 'forget-stack'; stack: string }

/** Why a task went to its node, with the figures of that moment. */
export type PlacementReason = {
  policy: string
  considered: number
  fitting: number
  /** Of the chosen node, in parts. */
  score: Record<string, number>
  /** The best few others. Absent where too many tasks were placed at once to look again for each. */
  others?: { node: NodeName; score: Record<string, number> }[]
  /** Some of those that could not take it. */
  refused?: Refusal[]
}

export type WorldValue =
  | { at: Instant; change: Change }
  | { at: Instant; observation: Observation }
  | { at: Instant; decision: Decision }

/** One line of `berth events`: what happened, in words, with the names it concerns. */
export type EventRecord = {
  number: number
  at: Instant
  kind: string
  /** `info` for the course of things, `warning` for what an operator should read. */
  level: 'info' | 'warning'
  message: string
  /** Who did it. Absent of events of older versions. */
  by?: 'operator' | 'agent' | 'coordinator'
  node?: NodeName
  service?: ServiceName
  task?: TaskId
}
