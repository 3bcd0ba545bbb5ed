import { expect } from 'vitest'
import { concat, fromUtf8, toHex, utf8 } from '../../src/common/bytes.ts'
import type { Clock } from '../../src/common/clock.ts'
import { seededRandom } from '../../src/common/random.ts'
import { type Card, type CardFields, signCard } from '../../src/identity/card.ts'
import { createIdentity, type Identity } from '../../src/identity/keys.ts'
import { encode } from '../../src/message/codec.ts'
import { DEFAULT_LIMITS } from '../../src/message/validate.ts'
import type { Carrier, Channel, Connection } from '../../src/network/carrier.ts'
import { encodeFrames, FrameType, frameOf } from '../../src/network/frames.ts'
import { DIRECT_PROTOCOL, MeshNetwork, type MeshNetworkOptions } from '../../src/network/mesh.ts'
import type { NetworkEvents } from '../../src/network/network.ts'
import { eventually, until } from './waiting.ts'

/** What members of a mesh live on. */
export interface NetworkWorld {
  readonly clock: Clock
  /** A carrier that can be dialled, not yet started. */
  carrier(identity: Identity): Carrier
  /** Ends a carrier without a goodbye; absent where that takes a machine that loses power. */
  crash?: (carrier: Carrier) => void
  /** Everything that members did not stop themselves. */
  close(): Promise<void>
}

export const MESH = 'demo'
export const MAX_FRAME = 65_536
/** A frame type of the upper floors. */
export const FRAME = 32

let seed = 0

/** What a card of these tests says. */
export const cardFields = (now: number, fields: Partial<CardFields> = {}): CardFields => ({
  mesh: MESH,
  name: 'someone',
  description: '',
  capabilities: [],
  addresses: [],
  instance: toHex(seededRandom(++seed).bytes(8)),
  seq: Math.floor(now),
  expiresAt: Math.floor(now) + 3_600_000,
  ...fields,
})

/** What a member without an agent is made of. */
export interface BareMember extends Pick<MeshNetworkOptions, 'carrier' | 'identity' | 'clock' | 'random'> {
  readonly fields: CardFields
  /** The largest frame that it takes, bytes. */
  readonly maxFrameBytes?: number
}

/** A network of the real kind that believes every card and renews its own. */
export async function bareNetwork({ fields, ...parts }: BareMember): Promise<MeshNetwork> {
  let card = await signCard(parts.identity, fields)
  const network: MeshNetwork = new MeshNetwork({
    maxFrameBytes: DEFAULT_LIMITS.frameBytes,
    ...parts,
    mesh: fields.mesh,
    card: () => card,
    renewCard: async () => {
      card = await signCard(parts.identity, { ...fields, addresses: network.addresses(), seq: card.seq + 1 })
    },
    learn: () => true,
  })
  return network
}

/** A network of the real kind, its card, and what it delivered. */
export class Member {
  readonly identity: Identity
  readonly carrier: Carrier
  readonly network: MeshNetwork
  readonly frames: { from: string; text: string }[] = []
  readonly payloads: { topic: string; from: string; text: string }[] = []
  readonly refused: NetworkEvents['refused'][] = []
  /** Taken by the sink for each frame, where a test wants it to be slow. */
  work: (() => Promise<void>) | undefined
  card: Card
  readonly #waiting = new Set<() => void>()

  private constructor(
    world: NetworkWorld,
    identity: Identity,
    fields: CardFields,
    first: Card,
    maxQueuedBytes: number | undefined,
  ) {
    this.identity = identity
    this.card = first
    this.carrier = world.carrier(identity)
    const newest = new Map<string, number>()
    let signing: Promise<void> = Promise.resolve()
    this.network = new MeshNetwork({
      carrier: this.carrier,
      identity,
      mesh: fields.mesh,
      card: () => this.card,
      renewCard: () => {
        signing = signing.then(async () => {
          this.card = await signCard(identity, {
            ...fields,
            addresses: this.network.addresses(),
            seq: Math.max(this.card.seq + 1, Math.floor(world.clock.now())),
          })
        })
        return signing
      },
      learn: card => {
        if (card.seq < (newest.get(card.id) ?? 0)) return false
        newest.set(card.id, card.seq)
        return true
      },
      maxFrameBytes: MAX_FRAME,
      maxQueuedBytes,
      clock: world.clock,
      random: seededRandom(++seed),
    })
    this.network.addEventListener('refused', ({ detail }) => this.refused.push(detail))
  }

  static async start(
    world: NetworkWorld,
    name: string,
    options: { mesh?: string; identity?: Identity; maxQueuedBytes?: number } = {},
  ): Promise<Member> {
    const identity = options.identity ?? (await createIdentity())
    const fields = cardFields(world.clock.now(), { name, mesh: options.mesh ?? MESH })
    const member = new Member(world, identity, fields, await signCard(identity, fields), options.maxQueuedBytes)
    await member.network.start({
      direct: (from, frame) => {
        member.frames.push({ from, text: fromUtf8(frame.subarray(1)) })
        member.#wake()
        return member.work?.()
      },
      topic: (topic, from, payload) => {
        member.payloads.push({ topic, from, text: fromUtf8(payload) })
        member.#wake()
      },
    })
    while (member.network.addresses().length === 0) await until(member.carrier, 'addresses')
    return member
  }

  get id(): string {
    return this.identity.id
  }

  /** Resolves when `done()` holds, which only something delivered can bring about. */
  async received(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>(resolve => this.#waiting.add(resolve))
  }

  /** Makes a link to another member. */
  async connect(other: Member): Promise<void> {
    const theirs = eventually(other.network, 'link:open', () => other.network.link(this.id) !== undefined)
    await this.network.connect(other.network.addresses()[0] as string)
    await theirs
  }

  async send(to: Member, text: string): Promise<void> {
    await this.network.send(to.id, frameOf(FRAME, utf8(text)))
  }

  /** Waits until the other is known to be there. */
  meets(other: Member): Promise<void> {
    return eventually(this.network, 'peer:online', () => this.network.peer(other.id)?.online === true)
  }

  /** Waits for a frame or payload to be refused for a reason. */
  async refuses(reason: NetworkEvents['refused']['reason'], peer: string): Promise<void> {
    const found = (refusal: NetworkEvents['refused']): boolean => refusal.reason === reason && refusal.peer === peer
    if (!this.refused.some(found)) await until(this.network, 'refused', found)
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

/** Somebody who speaks to a member byte by byte. */
export class Stranger {
  readonly identity: Identity
  readonly carrier: Carrier

  private constructor(world: NetworkWorld, identity: Identity) {
    this.identity = identity
    this.carrier = world.carrier(identity)
  }

  static async start(world: NetworkWorld): Promise<Stranger> {
    const stranger = new Stranger(world, await createIdentity())
    await stranger.carrier.start()
    return stranger
  }

  get id(): string {
    return this.identity.id
  }

  dial(member: Member): Promise<Connection> {
    return this.carrier.dial(member.id, member.network.addresses())
  }

  /** Opens the members' channel and writes `bytes`; resolves with the channel's end and what came back. */
  async say(member: Member, ...writes: Uint8Array[]): Promise<{ channel: Channel; closed: Promise<void> }> {
    const channel = await (await this.dial(member)).open(DIRECT_PROTOCOL)
    const { promise: closed, resolve } = Promise.withResolvers<void>()
    channel.attach({ data: () => {}, closed: () => resolve() })
    for (const bytes of writes) channel.send(bytes)
    return { channel, closed }
  }

  /** A hello as a member would say it, except for what `fields` change. */
  async hello(
    world: NetworkWorld,
    fields: { version?: unknown; mesh?: unknown; card?: Uint8Array } = {},
  ): Promise<Uint8Array> {
    const card = fields.card ?? (await signCard(this.identity, cardFields(world.clock.now()))).bytes
    const body = encode([fields.version ?? 1, fields.mesh ?? MESH, card, null] as never)
    return encodeFrames([frameOf(FrameType.hello, body)])
  }
}

/** A hello frame around bytes that need not be CBOR. */
export const helloOf = (...parts: Uint8Array[]): Uint8Array => encodeFrames([frameOf(FrameType.hello, concat(parts))])

/** Shows that two members are not disturbed: a frame passes each way. */
export async function stillTalk(a: Member, b: Member): Promise<void> {
  const text = `still here ${++seed}`
  await Promise.all([a.send(b, text), b.send(a, text)])
  await Promise.all([a, b].map(member => member.received(() => member.frames.some(frame => frame.text === text))))
  expect(a.frames.filter(frame => frame.text === text)).toEqual([{ from: b.id, text }])
}
