/**
 * The one line that makes a host a node. The server's key is pinned, since no public authority signed its certificate; the
 * token goes to the script through its environment, so that no list of processes shows it.
 */
export function joinCommand(url: string, serverKeyPin: string, joinToken: string): string {
  const fetch = `curl -fsSL --insecure --pinnedpubkey '${serverKeyPin}' ${url}/install.sh`
  return `${fetch} | BERTH_JOIN_TOKEN=${joinToken} sudo --preserve-env=BERTH_JOIN_TOKEN sh -s -- join`
}
