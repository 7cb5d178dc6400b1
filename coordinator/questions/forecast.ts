/**
 * What would come of something: the deed's own code (`apply`, `decide`, the marks between them) run on a fork of the world until
 * nothing is left to do. In place of agents stand ideal ones: what they are assigned is up at once, what is to stop is gone at once,
 * and nobody falls silent. So a rollout is seen to its end, and what does not come about is not for want of luck.
 *
 * Time passes only where something waits for it (`delay`, `monitor`), and then at once.
 */
import type { Instant } from '../../shared/clock.ts'
import { decide } from '../decide/decide.ts'
import { addMarks, isMarked, type Marks, marksOf, newMarks } from '../decide/marks.ts'
import { type DecideSettings, defaultSettings } from '../decide/settings.ts'
import { apply } from '../store/apply.ts'
import { forkWorld } from '../store/fork.ts'
import type { Decision, World, WorldValue } from '../world.ts'
import { idealAgents } from './ideal-agents.ts'

export type Forecast = {
  /** What it was made from. */
  values: readonly WorldValue[]
  /** The fork, as it is when nothing is left to do. */
  world: World
  /** In order, with those of each beat together: the first is what the loop would decide at once. */
  beats: Decision[][]
  /** How much time it would take if every container came up at once. */
  tookMs: number
  /** False: there was more to come than may be looked at. What was seen so far is true all the same. */
  isComplete: boolean
}

export type ForecastBounds = {
  beatsMax: number
  /** Asked before each beat after the first one; a caller with a clock may say no. */
  mayGoOn: () => boolean
}

/** The longest rollouts are cut off here; their beginning tells how they go. */
export const BEATS_MAX = 10_000
const UNBOUNDED: ForecastBounds = { beatsMax: BEATS_MAX, mayGoOn: () => true }
/** As many as the control loop takes within one beat. */
const ROUNDS_MAX = 8

/** `values` are applied to the fork first, one after the other; then decided upon. `world` stays as it is. */
export function forecast(
  world: World,
  values: readonly WorldValue[],
  now: Instant,
  bounds: Partial<ForecastBounds> = {},
): Forecast {
  const { beatsMax, mayGoOn } = { ...UNBOUNDED, ...bounds }
  const course = newCourse(world, now)
  for (const value of silentOnes(world, now)) apply(course.world, value)
  for (const value of values) put(course, value)
  const agents = idealAgents(world, course.world)
  for (;;) {
    const { decisions, wakeAt } = beat(course)
    agents.note(decisions)
    const said = agents.say(course.world)
    for (const observation of said) put(course, { at: course.now, observation })
    if (said.length === 0 && !isMarked(course.marks)) {
      if (wakeAt === null || !Number.isFinite(wakeAt) || course.world.servicesInMotion.size === 0) {
        return endOf(course, values, now, true)
      }
      course.now = Math.max(course.now + 1, wakeAt)
    }
    if (course.beats.length >= beatsMax || !mayGoOn()) return endOf(course, values, now, false)
  }
}

type Course = { world: World; now: Instant; marks: Marks; settings: DecideSettings; beats: Decision[][] }

function newCourse(world: World, now: Instant): Course {
  return { world: forkWorld(world), now, marks: newMarks(), settings: untroubled(now), beats: [] }
}

function endOf(
  { world, now, beats }: Course,
  values: readonly WorldValue[],
  from: Instant,
  isComplete: boolean,
): Forecast {
  return { values, world, beats: beats.filter((decisions) => decisions.length > 0), tookMs: now - from, isComplete }
}

function put(course: Course, value: WorldValue): void {
  addMarks(course.marks, marksOf(course.world, value))
  apply(course.world, value)
}

/** What the control loop does in one beat. */
function beat(course: Course): { decisions: Decision[]; wakeAt: Instant | null } {
  const decisions: Decision[] = []
  let wakeAt: Instant | null = null
  for (let round = 0; round === 0 || (round < ROUNDS_MAX && isMarked(course.marks)); round += 1) {
    const { marks } = course
    course.marks = newMarks()
    const decided = decide(course.world, marks, course.now, course.settings)
    for (const decision of decided.decisions) put(course, { at: course.now, decision })
    decisions.push(...decided.decisions)
    wakeAt = decided.wakeAt
  }
  course.beats.push(decisions)
  return { decisions, wakeAt }
}

/** Who is given up already for being silent on an open connection would else be taken for one that is heard. */
function silentOnes(world: World, at: Instant): WorldValue[] {
  const values: WorldValue[] = []
  for (const { name, status, connection } of world.nodes.values()) {
    const isSilent = status.name === 'lost' || (status.name === 'disconnected' && status.alone === true)
    if (!isSilent || !connection) continue
    const { instance } = connection
    values.push({ at, observation: { kind: 'disconnected', node: name, instance, why: status.why, goodbye: false } })
  }
  return values
}

/** Nobody is given up for being silent: time passes faster here than anybody could speak. */
function untroubled(now: Instant): DecideSettings {
  const never = Number.POSITIVE_INFINITY
  return {
    ...defaultSettings(now),
    startGraceMs: never,
    agentGraceMs: never,
    goodbyeGraceMs: never,
    engineGraceMs: never,
    stallMs: never,
    silenceMaxMs: never,
  }
}
