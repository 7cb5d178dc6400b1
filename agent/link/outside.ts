/** What the link needs of the world outside this process, besides the time: a simulation brings its own. */
import { loadIdentity } from './identity.ts'
import { joinCluster } from './join.ts'
import { connect } from './socket.ts'

export type Outside = {
  connect: typeof connect
  loadIdentity: typeof loadIdentity
  joinCluster: typeof joinCluster
}

export const OUTSIDE: Outside = { connect, loadIdentity, joinCluster }
