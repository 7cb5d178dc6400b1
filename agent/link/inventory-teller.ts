/**
 * Tells the inventory anew when it has become another one during a connection: an Engine that was down at the hello tells its
 * labels only once it is up, and one that was restarted may have others.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Log } from '../../shared/log.ts'
import type { Hello, UpMessage } from '../../shared/wire/up.ts'
import type { ReadInventory, Supervisor } from '../parts.ts'

export type InventoryTellerNeeds = {
  supervisor: Pick<Supervisor, 'onChange'>
  inventory: ReadInventory
  log: Log
  send(message: UpMessage): void
}

export class InventoryTeller {
  readonly #needs: InventoryTellerNeeds
  readonly #forget: () => void
  #told: Hello['inventory']
  #isUp: boolean
  /** An inventory is due; it may go out only after the welcome. */
  #isDue = false
  #isWelcome = false
  #ended = false

  /** Made as soon as the hello is, so that no rise of the Engine is missed. */
  constructor(needs: InventoryTellerNeeds, hello: Pick<Hello, 'inventory' | 'engine'>) {
    this.#needs = needs
    this.#told = hello.inventory
    this.#isUp = hello.engine.state === 'up'
    this.#forget = needs.supervisor.onChange(({ engine }) => {
      const isUp = engine.state === 'up'
      if (isUp && !this.#isUp) this.#tell()
      this.#isUp = isUp
    })
  }

  welcomed(): void {
    this.#isWelcome = true
    if (this.#isDue) this.#tell()
  }

  end(): void {
    this.#ended = true
    this.#forget()
  }

  #tell(): void {
    this.#isDue = !this.#isWelcome
    if (this.#isDue) return
    this.#needs.inventory({ anew: true }).then(
      (inventory) => {
        if (this.#ended || isDeepStrictEqual(inventory, this.#told)) return
        this.#told = inventory
        this.#needs.send({ kind: 'inventory', inventory })
      },
      (error: unknown) => this.#needs.log.warn({ error }, `this host could not be looked at: ${error}`),
    )
  }
}
