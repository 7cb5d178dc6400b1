/** Started by the reaper once a test process has ended: cleans what it left. */
import { sweep } from './slots.ts'

await sweep()
