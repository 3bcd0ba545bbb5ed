/** What an agent keeps of messages of which nothing is left but their recipient's last word. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Envelopes } from '../../src/delivery/envelopes.ts'
import { Fencing } from '../../src/delivery/fencing.ts'
import { FrameType } from '../../src/delivery/frames.ts'
import { newEntry, type OutEpoch, openEpoch } from '../../src/delivery/out-epoch.ts'
import { headOf } from '../../src/delivery/outgoing-parts.ts'
import { loadReceipt, openReceipts } from '../../src/delivery/receipt-rows.ts'
import { sealFrame } from '../../src/delivery/sealing.ts'
import { Tracker } from '../../src/delivery/tracker.ts'
import { createIdentity, publicKeyOf } from '../../src/identity/keys.ts'
import type { Prekey } from '../../src/security/prekeys.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { DeliveryWorld, type Handler, type Machine, type Node } from './world.ts'

const FOLLOWED = 3

let world: DeliveryWorld
beforeEach(() => {
  world = new DeliveryWorld()
})
afterEach(() => world.close())

/** An agent hears no acks of another from now on; returns what has it hear them again. */
function deaf(node: Node, { id }: Node): () => void {
  const received = node.delivery.received.bind(node.delivery)
  node.delivery.received = (from, frame) =>
    from === id && frame[0] === FrameType.acks ? undefined : received(from, frame)
  return () => void Reflect.deleteProperty(node.delivery, 'received')
}

const rows = ({ machine }: Node): Promise<number> => machine.store.count('outbox')

describe('Replies that expire, and that nobody acknowledges,', () => {
  it('leave nothing on the disk; later ones arrive in order', async () => {
    const ids: string[] = []
    const handler: Handler = async ({ message, author }) => {
      const reply = server.message({ id: author } as Node, `to ${message.content}`, { parentId: message.id, ttl: 20 })
      ids.push(reply.id)
      return { message: reply, kind: 'reply' }
    }
    const server = await world.start(await world.machine(), handler)
    const eve = await world.start(await world.machine())
    await eve.meet(server)
    const ask = (content: string): Promise<unknown> =>
      eve.delivery.send(eve.delivery.draft(eve.message(server, content, { ttl: 20 }), 'request'), [server.id])
    const hear = deaf(server, eve)
    for (let i = 0; i < 5; i++) await ask(`${i}`)
    await world.clock.advance(2_000)
    expect(await rows(server)).toBe(5)
    await world.clock.advance(25_000)
    expect(await rows(server)).toBe(0)
    for (const id of ids) {
      const { receipt } = server.tracker.tracking(id) ?? {}
      expect(receipt?.recipients.get(eve.id)).toMatchObject({ state: 'expired', inDoubt: true, final: true })
      expect(await loadReceipt(server.machine.store, id)).toBeUndefined()
    }
    hear()
    eve.got.length = 0
    for (const content of ['a', 'b']) await ask(content)
    await world.clock.advance(10_000)
    expect(eve.texts).toEqual(['to a', 'to b'])
    expect([eve.holes, server.errors, eve.errors, server.refused]).toEqual([[], [], [], []])
    expect(await rows(server)).toBe(0)
  })
})

describe('What waits for a last word alone', () => {
  /** An agent that follows few messages. */
  const forgetful = async (machine: Machine): Promise<Node> => {
    const tracker = new Tracker({ clock: world.clock, limit: FOLLOWED })
    for await (const receipt of openReceipts(machine.store)) tracker.track(receipt)
    return world.start(machine, undefined, { tracker, prekeyOf: id => world.rings.get(id)?.current() })
  }

  it('of replies that have arrived has rows for those that are followed; of messages it has them all', async () => {
    const bob = await world.start(await world.machine(), () => 'waiting')
    const adas = await world.machine()
    const first = await forgetful(adas)
    await first.meet(bob)
    const parentId = '019b7656-c000-7000-8000-000000000002'
    const answer = (i: number) => first.delivery.draft(first.message(bob, `${i}`, { parentId }), 'reply')
    for (let i = 0; i < 10; i++) await first.delivery.send(answer(i), [bob.id])
    for (let i = 0; i < 10; i++) await first.send(bob, `${i}`)
    await world.clock.advance(2_000)
    expect(await bob.machine.store.count('inbox')).toBe(20)
    expect(await rows(first)).toBe(10)
    first.crash()
    const next = await forgetful(adas)
    await world.clock.advance(10)
    expect(await rows(next)).toBe(10)
  })

  it('of messages that were given up too; what comes later arrives', async () => {
    const bob = await world.start(await world.machine())
    const ada = await forgetful(await world.machine())
    await ada.meet(bob)
    const hear = deaf(ada, bob)
    for (let i = 0; i < 10; i++) await ada.send(bob, `${i}`, { ttl: 5 })
    await world.clock.advance(10_000)
    expect(await rows(ada)).toBe(FOLLOWED)
    hear()
    await ada.send(bob, 'later')
    await world.clock.advance(30_000)
    expect(bob.texts.at(-1)).toBe('later')
    expect([bob.holes, ada.errors, ada.refused]).toEqual([[], [], []])
    expect(await rows(ada)).toBe(0)
  })

  it('has no rows after a start that does not follow it', async () => {
    const bob = await world.start(await world.machine())
    const adas = await world.machine()
    const first = await world.start(adas)
    await first.meet(bob)
    deaf(first, bob)
    for (let i = 0; i < 10; i++) await first.send(bob, `${i}`, { ttl: 5 })
    await world.clock.advance(10_000)
    expect(await rows(first)).toBe(10)
    first.crash()
    const ada = await forgetful(adas)
    await world.clock.advance(10)
    expect(await rows(ada)).toBe(FOLLOWED)
  })

  it('does not keep its recipient from giving way to others', async () => {
    const bobs = await world.machine()
    let bob = await world.start(bobs)
    const ada = await forgetful(await world.machine())
    await ada.meet(bob)
    deaf(ada, bob)
    await ada.send(bob, 'one', { ttl: 5 })
    await world.clock.advance(30_000)
    bob.crash()
    await world.clock.advanceUntil(() => ada.network.link(bob.id) === undefined)
    const epochs = (): Promise<number> => ada.machine.store.count('epochs', { prefix: ['out', bob.id] })
    // These are followed in its place.
    const carol = await world.start(await world.machine(), () => 'waiting')
    await ada.meet(carol)
    for (let i = 0; i < FOLLOWED; i++) await ada.send(carol, `${i}`)
    await world.clock.advance(2_000)
    expect(await rows(ada)).toBe(FOLLOWED)
    for (let i = 0; i < 1_030; i++) {
      const { id } = await createIdentity(undefined, world.random)
      // Nobody is told of these: they are over as they expire.
      world.rings.set(id, world.rings.get(bob.id) as never)
      await ada.send({ id } as Node, 'x', { ttl: 1 })
    }
    expect(await epochs()).toBe(1)
    await world.clock.advance(420_000)
    expect(await epochs()).toBe(0)
    Reflect.deleteProperty(ada.delivery, 'received')
    bob = await world.start(bobs)
    await ada.meet(bob)
    await ada.send(bob, 'two')
    await world.clock.advance(30_000)
    expect(bob.texts).toEqual(['two'])
    expect(ada.errors).toEqual([])
  }, 60_000)
})

it.each(['expired', 'cancelled', 'attempts-exhausted'] as const)(
  'A fence has no bytes, in memory as on the disk, whatever it stands for: %s',
  async reason => {
    const bob = await world.start(await world.machine())
    const ada = await createIdentity(undefined, world.random)
    const { epoch, entry, writes, envelopes } = await appended(ada, bob)
    entry.left = true
    const fencing = new Fencing({
      clock: world.clock,
      onError: () => {},
      envelopes,
      recipient: bob.id,
      quota: { take: () => {}, keep: () => {}, give: () => {} },
      recorder: { record: async (_: unknown, batch: unknown[]) => writes.push(...batch) > 0 } as never,
      sender: { hold: () => {}, remove: () => {}, stateChanged: () => {}, pump: () => {} } as never,
    })
    expect(await fencing.fence(entry, reason)).toBe(true)
    expect(epoch.entries.has(entry.number)).toBe(false)
    expect(epoch.fences.get(entry.number)).toMatchObject({ fence: reason, frame: new Uint8Array(0) })
    expect(entry.row).not.toHaveProperty('frame')
    expect([...epoch.fences.values()].some(row => row === entry.row)).toBe(false)
    expect(writes).toHaveLength(1)
  },
)

/** A message of 10 kB in an epoch towards Bob. */
async function appended(author: Awaited<ReturnType<typeof createIdentity>>, bob: Node) {
  const { random, clock } = world
  const prekey = bob.prekeys.current() as Prekey
  const epoch: OutEpoch = await openEpoch({
    author,
    mesh: 'm',
    recipient: bob.id,
    prekey,
    earlier: [],
    random,
    now: clock.now(),
  })
  const message = bob.message(bob, 'x'.repeat(10_000))
  const draft = { ...bob.delivery.draft(message, 'message') }
  const { number, prev } = epoch.feed.next(0)
  const to = { mesh: 'm', destination: publicKeyOf(bob.id) as Uint8Array }
  const frame = await sealFrame(epoch, draft, { number, prev, numbered: true }, to)
  const entry = newEntry(epoch, number, headOf(draft, clock.now()), { bytes: frame.length, order: 1 })
  epoch.entries.add(entry)
  epoch.messages.set(number, { messageId: draft.messageId, awaited: false, expiresAt: draft.expiresAt })
  const envelopes = new Envelopes({
    store: memoryStore(),
    author: author.id,
    recipient: bob.id,
    clock,
    onError: () => {},
  })
  envelopes.linked = true
  envelopes.keep(entry, frame)
  return { epoch, entry, envelopes, writes: [] as unknown[] }
}
