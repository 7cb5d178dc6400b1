/** Bounds of messages that the agent has to keep to: apart from the schemas, which an agent does not load. */

/** At steps of a second a minute has 60. */
export const LAST_MINUTE_SAMPLES_MAX = 60
/** Of one message: some 100 KiB. What went bad beyond that at the same moment is told without. */
export const LAST_MINUTES_MAX = 64
/** Of a host, disks and interfaces each; of more the first so many, as the kernel lists them. */
export const DEVICES_MAX = 32
