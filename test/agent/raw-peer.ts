/** A libp2p peer that speaks the protocol by hand, and as badly as a test wants. */

import type { Stream, StreamMessageEvent } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import type { Agent } from '../../src/agent/agent.ts'
import { systemRandom } from '../../src/common/random.ts'
import { FrameType as DeliveryFrame, encodeHeader, envelopeFrame } from '../../src/delivery/frames.ts'
import { type Card, signCard } from '../../src/identity/card.ts'
import { createIdentity, type Identity, publicKeyOf } from '../../src/identity/keys.ts'
import { decode, encode } from '../../src/message/codec.ts'
import { decodeMessage } from '../../src/message/envelope.ts'
import { DEFAULT_LIMITS } from '../../src/message/validate.ts'
import { encodeFrames, FrameReader, FrameType, frameOf } from '../../src/network/frames.ts'
import { createNode, type Node, type TransportFactory } from '../../src/network/node.ts'
import { type AeadKey, importKey } from '../../src/security/aead.ts'
import { makeOpening } from '../../src/security/opening.ts'
import type { Prekey } from '../../src/security/prekeys.ts'
import { sealDirect } from '../../src/security/seal.ts'

export class RawPeer {
  readonly identity: Identity
  readonly node: Node
  readonly card: Card
  /** Frames that came. */
  readonly frames: Uint8Array[] = []
  /** Resolves when the stream has ended. */
  readonly ended = Promise.withResolvers<void>()
  /** The opening of its epoch towards the agent it dialled. */
  opening: Uint8Array = new Uint8Array()
  #epoch: { id: string; key: AeadKey; agent: Agent; count: number } | undefined
  #stream: Stream | undefined
  readonly #waiting = new Set<() => void>()

  private constructor(identity: Identity, node: Node, card: Card) {
    this.identity = identity
    this.node = node
    this.card = card
  }

  static async create(): Promise<RawPeer> {
    const identity = await createIdentity()
    const node = await createNode({ seed: identity.seed, transports: [tcp() as TransportFactory], listen: [] })
    await node.start()
    return new RawPeer(identity, node, await cardOf(identity))
  }

  /** A new one with a stream to an agent, which has heard nothing from it yet. */
  static async dialled(agent: Agent): Promise<RawPeer> {
    const peer = await RawPeer.create()
    await peer.dial(agent)
    return peer
  }

  /** A new one that has exchanged hellos with an agent. */
  static async member(agent: Agent): Promise<RawPeer> {
    const peer = await RawPeer.dialled(agent)
    peer.send(hello({ card: peer.card.bytes }), peer.opening)
    await peer.frame(FrameType.hello)
    return peer
  }

  get id(): string {
    return this.identity.id
  }

  async dial(agent: Agent): Promise<void> {
    const connection = await this.node.dial(multiaddr(agent.addresses[0]))
    const stream = await connection.newStream('/afp/1/direct')
    const reader = new FrameReader(
      2 ** 20,
      frame => {
        this.frames.push(frame)
        for (const wake of this.#waiting) wake()
      },
      () => {},
    )
    stream.addEventListener('message', event => {
      const { data } = event as StreamMessageEvent
      reader.push(data instanceof Uint8Array ? data : data.subarray())
    })
    for (const type of ['close', 'end'] as const) stream.addEventListener(type, () => this.ended.resolve())
    this.#stream = stream
    const { mesh, card } = agent
    const prekey = card.prekey as Prekey
    const { id: recipient } = agent
    const { notAfter } = prekey
    const opening = { author: this.identity, mesh, recipient, prekey, earlier: [], notAfter, random: systemRandom }
    const { epoch, packet, key } = await makeOpening(opening)
    this.opening = frameOf(DeliveryFrame.opening, packet)
    this.#epoch = { id: epoch, key: await importKey(key), agent, count: 0 }
  }

  /** What is in a message, sealed as one that is not kept; the header says what the message says, if it is one. */
  sealed(payload: Uint8Array): Uint8Array {
    const epoch = this.#epoch
    if (epoch === undefined) throw new Error('nobody was dialled')
    const { agent } = epoch
    let facts = { priority: 0, expiresAt: Date.now() + 60_000 }
    try {
      const security = { level: 'none', authenticatedBy: 'none', roles: [] } as const
      facts = decodeMessage(payload, { sender: this.id, security, limits: DEFAULT_LIMITS }).message
    } catch {
      // Whoever gets it will find the same.
    }
    const number = ++epoch.count
    const header = encodeHeader({
      mesh: agent.mesh,
      destination: publicKeyOf(agent.id) as Uint8Array,
      epoch: epoch.id,
      number,
      prev: 0,
      priority: facts.priority,
      expiresAt: facts.expiresAt,
      numbered: false,
      shared: false,
    })
    return envelopeFrame(header, sealDirect(epoch.key, { number, numbered: false }, header, payload) as Uint8Array)
  }

  /** Sends frames, each with its length before it. */
  send(...frames: Uint8Array[]): void {
    this.#stream?.send(encodeFrames(frames))
  }

  /** Sends bytes as they are. */
  sendRaw(bytes: Uint8Array): void {
    this.#stream?.send(bytes)
  }

  /** The first frame of a type, now or later. */
  frame(type: number): Promise<Uint8Array> {
    return new Promise(resolve => {
      const look = (): void => {
        const found = this.frames.find(frame => frame[0] === type)
        if (found === undefined) return
        this.#waiting.delete(look)
        resolve(found)
      }
      this.#waiting.add(look)
      look()
    })
  }

  /** The reason that the other side gave for refusing this one. */
  async refusal(): Promise<unknown> {
    return decode((await this.frame(FrameType.refused)).subarray(1))
  }

  async stop(): Promise<void> {
    await this.node.stop()
  }
}

/** A card for the mesh that these tests are in. */
export function cardOf(identity: Identity, mesh = 'demo'): Promise<Card> {
  const now = Date.now()
  return signCard(identity, {
    mesh,
    name: 'raw',
    description: '',
    capabilities: [],
    addresses: [],
    instance: '00',
    seq: now,
    expiresAt: now + 3_600_000,
  })
}

/** A hello, right except for what is given. */
export function hello({ version = 1, mesh = 'demo', card = new Uint8Array() as unknown, rest = [null] as unknown[] }) {
  return frameOf(FrameType.hello, encode([version, mesh, card, ...rest]))
}
