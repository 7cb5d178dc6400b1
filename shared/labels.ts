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
