/** What operators may set for the cluster as a whole (`berth cluster set`). */
import Type, { type Static } from './schema.ts'
import { PolicyName } from './spec.ts'

export const ClusterSettings = Type.Object(
  {
    /** For services that name no policy of their own. */
    policy: PolicyName,
    /** Admission rule. `any-node`: a deployment that the loss of any one node would break is refused. */
    survive: Type.Union([Type.Literal('nothing'), Type.Literal('any-node')]),
    /** Whether services of higher priority may take the room of lower ones. */
    preemption: Type.Boolean(),
    rebalance: Type.Object(
      {
        /** Whether tasks are moved without being asked, for load or after nodes joined. */
        auto: Type.Boolean(),
        movesPerHour: Type.Integer({ minimum: 0, maximum: 10_000 }),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
)
export type ClusterSettings = Static<typeof ClusterSettings>

/** Only what is to be changed. */
export type ClusterSettingsChange = Partial<Omit<ClusterSettings, 'rebalance'>> & {
  rebalance?: Partial<ClusterSettings['rebalance']>
}

/** Of a cluster for which nothing was set. */
export const CLUSTER_SETTINGS_DEFAULT: ClusterSettings = {
  policy: 'spread',
  survive: 'nothing',
  preemption: true,
  rebalance: { auto: false, movesPerHour: 20 },
}

/** The settings with `change` in them; also what an older store holds, filled up with what is usual. */
export function withSettings(settings: ClusterSettings, change: ClusterSettingsChange): ClusterSettings {
  return { ...settings, ...change, rebalance: { ...settings.rebalance, ...change.rebalance } }
}
