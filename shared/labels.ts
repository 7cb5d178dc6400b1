/** Labels under it are how Berth knows its containers; nobody else gives them. */
export const RESERVED_LABEL_PREFIX = 'berth.'

/** Labels that Berth puts on its containers. One without them is never touched. */
export const LABEL = {
  cluster: 'berth.cluster',
  node: 'berth.node',
  stack: 'berth.stack',
  service: 'berth.service',
  task: 'berth.task',
  spec: 'berth.spec',
  attempt: 'berth.attempt',
} as const
