/** Everything that judges, as the loop takes it. */
import { decide, decideInSteps } from './decide/decide.ts'
import { eventsOf } from './decide/events.ts'
import { marksOf } from './decide/marks.ts'
import type { Judgement } from './loop.ts'
import { admitWithRules } from './questions/survival-rule.ts'

export const judgement: Judgement = { admit: admitWithRules, decide, decideInSteps, marksOf, eventsOf }
