/** Everything that judges, as the loop takes it. */
import { admit } from './decide/admit.ts'
import { decide } from './decide/decide.ts'
import { eventsOf } from './decide/events.ts'
import { marksOf } from './decide/marks.ts'
import type { Judgement } from './loop.ts'

export const judgement: Judgement = { admit, decide, marksOf, eventsOf }
