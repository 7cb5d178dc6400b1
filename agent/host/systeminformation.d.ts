/** Parts of systeminformation, which has types for the whole of it only. */
declare module 'systeminformation/lib/osinfo.js' {
  import type { Systeminformation } from 'systeminformation'
  export function osInfo(): Promise<Systeminformation.OsData>
}
declare module 'systeminformation/lib/cpu.js' {
  import type { Systeminformation } from 'systeminformation'
  export function cpu(): Promise<Systeminformation.CpuData>
}
