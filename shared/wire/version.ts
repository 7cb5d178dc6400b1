/** Which wire versions this build speaks, what each one brought, and how two sides agree on one. */

export const WIRE_VERSION = 2
/** The oldest version that this build still understands: an agent one version behind goes on working during an upgrade. */
export const WIRE_VERSION_MIN = 1

/**
 * One line per version, newest last. The fingerprint is that of both unions' schemas (see fingerprint.ts): when the shape of a
 * message changes, a test fails until the version is raised and its line stands here.
 */
export const WIRE_HISTORY: { version: number; fingerprint: string; brought: string }[] = [
  {
    version: 1,
    fingerprint: 'b775d3a8c7e9a7a2345ccba96db230f3',
    brought:
      'hello with inventory and countable resources, observations, heartbeats, assignments and their changes, log streams, log lines to be kept, renewal of certificates',
  },
  {
    version: 2,
    fingerprint: '936817bdcf0602ef5556de590bd90f9b',
    brought: 'the last minute of tasks that went bad, in steps of a second; what goes through each disk and interface',
  },
]

/** Told to a coordinator that knows them. */
export const LAST_MINUTES_SINCE = 2
export const DEVICES_SINCE = 2

/** The versions one side speaks, and how a person would call that side. */
export type SpokenVersions = { who?: string; version: number; versionMin: number }

export type VersionAgreement =
  | { ok: true; version: number }
  | { ok: false; code: 'version-mismatch'; upgrade: 'mine' | 'theirs'; reason: string }

/**
 * The newest version that both sides speak, or a refusal whose sentence names both ranges and the side to upgrade.
 * Called by the coordinator on a hello; `who` defaults to `coordinator` for mine and `agent` for theirs.
 */
export function agreeOnVersion(mine: SpokenVersions, theirs: SpokenVersions): VersionAgreement {
  const me = { ...mine, who: mine.who ?? 'coordinator' }
  const them = { ...theirs, who: theirs.who ?? 'agent' }
  if (them.versionMin > them.version) {
    const reason = `the ${them.who} claims to speak wire versions from ${them.versionMin} down to ${them.version}; reinstall it`
    return { ok: false, code: 'version-mismatch', upgrade: 'theirs', reason }
  }
  const version = Math.min(me.version, them.version)
  if (version >= Math.max(me.versionMin, them.versionMin)) return { ok: true, version }

  const upgrade = me.version < them.version ? 'mine' : 'theirs'
  const behind = upgrade === 'mine' ? me.who : them.who
  const reason = `the ${me.who} speaks wire ${inWords(me)}, the ${them.who} speaks ${inWords(them)}; upgrade the ${behind}`
  return { ok: false, code: 'version-mismatch', upgrade, reason }
}

function inWords({ version, versionMin }: SpokenVersions): string {
  return version === versionMin ? `version ${version}` : `versions ${versionMin} to ${version}`
}
