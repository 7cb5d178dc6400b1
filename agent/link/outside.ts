/** What the link needs of the world outside this process, besides the time: a simulation brings its own. */
import { loadIdentity } from './identity.ts'
import { joinCluster } from './join.ts'
import { connect, fetchTicket } from './socket.ts'

export type Outside = {
  connect: typeof connect
  loadIdentity: typeof loadIdentity
  joinCluster: typeof joinCluster
  /** After the certificate was renewed. */
  fetchTicket: typeof fetchTicket
}

export const OUTSIDE: Outside = { connect, loadIdentity, joinCluster, fetchTicket }
