/** The flags of `berth agent`, as the command line gives them and the agent takes them; all may be left out. */
export type AgentFlags = {
  data?: string
  coordinator?: string
  joinFile?: string
  /** As DOCKER_HOST. */
  docker?: string
  name?: string
  label?: Record<string, string>
  resource?: Record<string, number>
  /** As in /proc/PID/cgroup. */
  hostCgroup?: string
  /** ms */
  pullStall?: number
  logLevel?: string
}
