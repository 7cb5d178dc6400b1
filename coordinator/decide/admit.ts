/**
 * Whether a change may be made, said before anything is touched: bad input gets a clear answer at the door. What may
 * become possible later (a label that no node has yet, room that is taken now) is admitted: the tasks wait and say why.
 */
import { NAME_PATTERN } from '../../shared/names.ts'
import type { Change, World } from '../world.ts'
import { type Admission, admitted, REPLICAS_MAX, refused } from './admission.ts'
import { admitNodeSettings, admitTaints } from './admit-node.ts'
import { admitStack } from './admit-stack.ts'
import { admitRebalance, admitUndo } from './rebalance/admit.ts'
import { rollbackVersionOf, wantedVersionOf } from './service-facts.ts'
import { holdsRoom } from './task-facts.ts'

export type { Admission } from './admission.ts'

export function admit(world: World, change: Change): Admission {
  switch (change.kind) {
    case 'deploy-stack':
      return admitStack(world, change.spec)
    case 'remove-stack':
      return world.stacks.has(change.stack) ? admitted() : noStack(world, change.stack)
    case 'scale-service':
      return admitScale(world, change.service, change.replicas)
    case 'rollback-service':
      return admitRollback(world, change.service)
    case 'join-node':
      return admitJoin(world, change.node, change.keyFingerprint)
    case 'label-node':
      return world.nodes.has(change.node) ? admitLabels(change.set) : noNode(world, change.node)
    case 'rebalance':
      return admitRebalance(world, change)
    case 'undo-rebalance':
      return admitUndo(world, change)
    case 'set-cluster':
      return Object.keys(change.settings).length > 0 ? admitted() : noSettings()
    case 'taint-node': {
      const node = world.nodes.get(change.node)
      return node ? admitTaints(node, change) : noNode(world, change.node)
    }
    case 'set-node': {
      const node = world.nodes.get(change.node)
      return node ? admitNodeSettings(node, change) : noNode(world, change.node)
    }
    case 'set-availability':
      return world.nodes.has(change.node) ? admitted() : noNode(world, change.node)
    case 'remove-node':
      return admitRemoval(world, change.node)
  }
}

function noSettings(): Admission {
  return refused(
    'invalid-request',
    'no setting of the cluster is named; write it like berth cluster set policy=binpack',
  )
}

// ---------------------------------------------------------------- services

function admitScale(world: World, name: string, replicas: number): Admission {
  const service = world.services.get(name)
  if (!service || service.removing) return noService(world, name)
  if (wantedVersionOf(service).spec.mode.kind === 'global') {
    const message = `${name} is global: it runs once on every node that meets its constraints and cannot be scaled`
    return refused('invalid-request', message, { service: name })
  }
  if (!Number.isInteger(replicas) || replicas < 0 || replicas > REPLICAS_MAX) {
    const message = `${replicas} is not a number of replicas for ${name}; give a whole number from 0 to ${REPLICAS_MAX}`
    return refused('invalid-request', message, { service: name, replicas })
  }
  return admitted()
}

function admitRollback(world: World, name: string): Admission {
  const service = world.services.get(name)
  if (!service || service.removing) return noService(world, name)
  if (rollbackVersionOf(service)) return admitted()
  const message = `${name} is at version ${service.version} and has no version before it to go back to`
  return refused('conflict', message, { service: name, version: service.version })
}

// ---------------------------------------------------------------- nodes

/** One name, one key: an agent that has lost its key must be removed and join again, or it would take another's place. */
function admitJoin(world: World, name: string, keyFingerprint: string): Admission {
  if (!new RegExp(NAME_PATTERN).test(name)) {
    const message = `"${name}" cannot be a node's name; use up to 63 lower-case letters, digits, ".", "_" and "-"`
    return refused('invalid-request', message, { node: name })
  }
  const node = world.nodes.get(name)
  if (!node || node.keyFingerprint === keyFingerprint) return admitted()
  const message =
    `a node named ${name} has joined already with another key; start this agent with another --name, ` +
    `or run "berth node rm ${name}" first if that node is gone`
  return refused('name-taken', message, { node: name })
}

/** Nobody could stop the containers of a node that is no member any more: they would run beside those that replace them. */
function admitRemoval(world: World, name: string): Admission {
  const node = world.nodes.get(name)
  if (!node) return noNode(world, name)
  const tasks = [...(world.tasksByNode.get(name) ?? [])].filter(holdsRoom).map(({ id }) => id)
  if (tasks.length === 0 || node.connection === null) return admitted()
  const what = tasks.length === 1 ? 'a task, which' : `${tasks.length} tasks, which`
  const message = `${name} still has ${what} would run on there with nobody in charge; run "berth drain ${name}" first, or stop its agent`
  return refused('conflict', message, { node: name, tasks: tasks.sort().slice(0, TASKS_TOLD) })
}

const TASKS_TOLD = 100

const LABEL_PATTERN = /^[A-Za-z0-9]([A-Za-z0-9_./-]{0,253}[A-Za-z0-9])?$/
const LABEL_VALUE_LENGTH_MAX = 1024

function admitLabels(set: Record<string, string>): Admission {
  for (const [label, value] of Object.entries(set)) {
    if (!LABEL_PATTERN.test(label)) {
      return refused('invalid-request', `"${label}" is not a label; use letters, digits, ".", "_", "/" and "-"`, {
        label,
      })
    }
    if (value.length > LABEL_VALUE_LENGTH_MAX) {
      const message = `the value of label ${label} has ${value.length} characters; at most ${LABEL_VALUE_LENGTH_MAX} are kept`
      return refused('invalid-request', message, { label })
    }
  }
  return admitted()
}

// ---------------------------------------------------------------- not there

function noStack(world: World, stack: string): Admission {
  return refused('stack-not-found', `there is no stack ${stack}${known('stacks', world.stacks.keys())}`, { stack })
}

function noService(world: World, service: string): Admission {
  const message = `there is no service ${service}${known('services', world.services.keys())}`
  return refused('service-not-found', message, { service })
}

function noNode(world: World, node: string): Admission {
  return refused('node-not-found', `there is no node ${node}${known('nodes', world.nodes.keys())}`, { node })
}

/** The first few names there are: mostly a typing error is seen at once. */
function known(what: string, names: Iterable<string>): string {
  const all = [...names].sort()
  if (all.length === 0) return `; there are no ${what} at all`
  const shown = all.slice(0, NAMES_SHOWN).join(', ')
  return `; ${what} are ${shown}${all.length > NAMES_SHOWN ? `, and ${all.length - NAMES_SHOWN} more` : ''}`
}

const NAMES_SHOWN = 5
