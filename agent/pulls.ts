/**
 * Pulls of images. Tasks that need the same image share its pull; one that nobody waits for any more is broken off, so that what
 * stands still at a registry that does not answer keeps no later pull from its turn.
 */
import type { Engine } from './docker/engine.ts'
import { Lane } from './lane.ts'

type Pull = { ended: Promise<void>; waiting: number; control: AbortController; linger: NodeJS.Timeout | null }

/** A task that is replaced while its image is pulled is mostly followed by another that needs it: the pull goes on so long. */
export const PULL_LINGER_MS = 5_000

export type PullsNeeds = {
  engine: Pick<Engine, 'pull'>
  width: number
  stallMs?: number
  lingerMs?: number
}

export class Pulls {
  readonly #needs: PullsNeeds
  readonly #lane: Lane
  /** By image and platform. */
  readonly #pulls = new Map<string, Pull>()

  constructor(needs: PullsNeeds) {
    this.#needs = needs
    this.#lane = new Lane(needs.width)
  }

  /**
   * Resolves when the image is here, or when `abandoned` is aborted and the caller waits no longer.
   * @throws BerthError as Engine.pull
   */
  async wait(image: string, platform: string | null, abandoned: AbortSignal): Promise<void> {
    const pull = this.#shared(image, platform)
    pull.waiting++
    if (pull.linger) clearTimeout(pull.linger)
    pull.linger = null
    const leave = Promise.withResolvers<void>()
    const onAbandoned = () => leave.resolve()
    if (abandoned.aborted) leave.resolve()
    abandoned.addEventListener('abort', onAbandoned, { once: true })
    try {
      await Promise.race([pull.ended, leave.promise])
    } finally {
      abandoned.removeEventListener('abort', onAbandoned)
      pull.waiting--
      if (pull.waiting === 0) pull.linger = this.#breakOffLater(pull)
    }
  }

  #shared(image: string, platform: string | null): Pull {
    const key = `${image} ${platform ?? ''}`
    const known = this.#pulls.get(key)
    if (known) return known
    const control = new AbortController()
    const options = { platform: platform ?? undefined, stallMs: this.#needs.stallMs, signal: control.signal }
    const pull: Pull = { ended: Promise.resolve(), waiting: 0, control, linger: null }
    const forget = () => {
      if (pull.linger) clearTimeout(pull.linger)
      if (this.#pulls.get(key) === pull) this.#pulls.delete(key)
    }
    // Broken off while it waited for its turn, it takes none.
    const work = async () => control.signal.aborted || (await this.#needs.engine.pull(image, options))
    pull.ended = this.#lane.run(work).then(() => {})
    pull.ended.then(forget, forget)
    control.signal.addEventListener('abort', forget, { once: true })
    this.#pulls.set(key, pull)
    return pull
  }

  #breakOffLater(pull: Pull): NodeJS.Timeout {
    return setTimeout(() => pull.control.abort(), this.#needs.lingerMs ?? PULL_LINGER_MS).unref()
  }
}
