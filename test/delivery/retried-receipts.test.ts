import { afterEach, beforeEach, expect, it } from 'vitest'
import { loadReceipt, purgeReceipts } from '../../src/delivery/receipt-rows.ts'
import { DeliveryWorld, type Machine, type Node } from './world.ts'

const DAY = 86_400_000

let world: DeliveryWorld
let adas: Machine
let ada: Node
let bob: Node
beforeEach(async () => {
  world = new DeliveryWorld()
  adas = await world.machine()
  bob = await world.start(await world.machine())
  ada = await start()
})
afterEach(() => world.close())

const start = (): Promise<Node> => world.start(adas, undefined, { prekeyOf: () => bob.prekeys.current() })

it.each([
  ['in the run that sent it', false],
  ['in a later run', true],
])(
  'The receipt of a message that is sent again stays as long as its new time to live asks for: %s',
  async (_, anew) => {
    const { id } = await ada.send(bob, 'x', { ttl: 60 })
    await world.clock.advance(61_000)
    world.clock.jump(3 * DAY)
    if (anew) {
      ada.crash()
      ada = await start()
    }
    const [letter] = await ada.deadLetters.list()
    expect(await ada.deadLetters.retry(letter?.id as string)).toBe('retried')
    const expiresAt = world.clock.now() + 60_000
    await ada.meet(bob)
    await world.clock.advanceUntil(() => ada.tracker.latest(id)?.recipients.get(bob.id)?.final === true)
    await world.clock.advance(10)
    expect(await loadReceipt(adas.store, id)).toMatchObject({ expiresAt })
    expect(await purgeReceipts(adas.store, expiresAt - 1)).toBe(0)
    expect((await ada.tracker.get(id))?.recipients.get(bob.id)).toMatchObject({ state: 'processed' })
    expect(await purgeReceipts(adas.store, expiresAt + 1)).toBe(1)
  },
)
