/** Documents and requests of the HTTP API: what the coordinator answers with and what the command line reads. */
export * from './api/cluster.ts'
export * from './api/common.ts'
export * from './api/node.ts'
export * from './api/progress.ts'
export * from './api/questions.ts'
export * from './api/rebalance.ts'
export * from './api/requests.ts'
export * from './api/service.ts'
