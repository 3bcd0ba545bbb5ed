/** A member of the mesh that speaks delivery by hand, and says what it likes. */

import type { Agent } from '../../src/agent/agent.ts'
import { fromHex } from '../../src/common/bytes.ts'
import { systemRandom } from '../../src/common/random.ts'
import {
  type EnvelopeHeader,
  encodeHeader,
  envelopeFrame,
  FrameType,
  frameOf,
  readAcks,
  readEnvelope,
} from '../../src/delivery/frames.ts'
import type { FeedAck } from '../../src/feed/index.ts'
import { createIdentity, type Identity, publicKeyOf } from '../../src/identity/keys.ts'
import { encode } from '../../src/message/codec.ts'
import { encodeMessage, type MessageKind } from '../../src/message/envelope.ts'
import { createIds } from '../../src/message/ids.ts'
import { Message, type MessageFields } from '../../src/message/message.ts'
import { LEAST_FRAME_BYTES } from '../../src/message/validate.ts'
import type { MeshNetwork } from '../../src/network/mesh.ts'
import { type AeadKey, importKey } from '../../src/security/aead.ts'
import { type MakeOpeningOptions, makeOpening } from '../../src/security/opening.ts'
import { type Prekey, PrekeyRing } from '../../src/security/prekeys.ts'
import { sealDirect } from '../../src/security/seal.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { bareNetwork, cardFields, MESH } from '../contracts/network-world.ts'
import type { HostileWorld, Passing } from './hostile-world.ts'

/** An epoch that a hostile member opened, or says it did. */
export interface Epoch {
  readonly id: string
  readonly to: Agent
  readonly key: AeadKey
  /** The frame of its opening. */
  readonly opening: Uint8Array
}

/** An envelope as it is to be, right except for what is given. */
export interface EnvelopeInit {
  /** What its header says. */
  readonly header?: Partial<EnvelopeHeader>
  readonly fields?: Partial<MessageFields>
  readonly kind?: MessageKind
}

/** See the head of this file. */
export class Hostile {
  readonly identity: Identity
  readonly network: MeshNetwork
  readonly prekeys: PrekeyRing
  /** What others sent to it. */
  readonly heard: Passing[] = []
  /** Whether it takes note of what it hears. */
  listening = true
  readonly #world: HostileWorld
  readonly #ids: () => string

  private constructor(world: HostileWorld, identity: Identity, network: MeshNetwork, prekeys: PrekeyRing) {
    this.#world = world
    this.identity = identity
    this.network = network
    this.prekeys = prekeys
    this.#ids = createIds({ clock: world.clock, random: systemRandom })
  }

  /** A new member, linked with these. */
  static async join(world: HostileWorld, ...agents: Agent[]): Promise<Hostile> {
    const { clock, driven } = world
    const identity = await createIdentity()
    const prekeys = new PrekeyRing({ store: memoryStore(), random: systemRandom })
    await prekeys.rotate(clock.now())
    const fields = cardFields(clock.now(), { name: 'mallory', prekey: prekeys.current() })
    const carrier = driven.net.carrier(identity.id)
    // What is said to it has to fit the least that anybody takes.
    const parts = { carrier, identity, fields, clock, random: systemRandom, maxFrameBytes: LEAST_FRAME_BYTES }
    const network = await bareNetwork(parts)
    const hostile = new Hostile(world, identity, network, prekeys)
    await network.start({
      direct: (from, frame) => void (hostile.listening && hostile.heard.push({ from, frame: frame.slice() })),
      topic: () => {},
    })
    for (const agent of agents) await hostile.meet(agent)
    return hostile
  }

  get id(): string {
    return this.identity.id
  }

  async meet(agent: Agent): Promise<void> {
    const online = linkedIn(agent, this.id)
    await this.#world.during(this.network.connect(agent.addresses[0] as string))
    await this.#world.until(online)
  }

  /** Sends frames, which arrive in this order. */
  send(to: { readonly id: string }, ...frames: Uint8Array[]): void {
    for (const frame of frames) this.network.send(to.id, frame).catch(() => {})
  }

  /** Opens an epoch, or what looks like one. */
  async open(to: Agent, init: Partial<MakeOpeningOptions> = {}): Promise<Epoch> {
    const prekey = init.prekey ?? (to.card.prekey as Prekey)
    const { epoch, packet, key } = await makeOpening({
      author: this.identity,
      mesh: MESH,
      recipient: to.id,
      prekey,
      earlier: [],
      notAfter: prekey.notAfter,
      random: systemRandom,
      ...init,
    })
    return { id: epoch, to, key: await importKey(key), opening: frameOf(FrameType.opening, packet) }
  }

  /** A message sealed in an epoch, as a frame. */
  envelope(epoch: Epoch, number: number, content: string, init: EnvelopeInit = {}): Promise<Uint8Array> {
    const message = this.message(epoch.to, content, init)
    return this.#sealed(epoch, number, message, encodeMessage(message, init.kind ?? 'message'), init.header)
  }

  /** Several that are not numbered, sealed as one; each is a text, or what it is to be. */
  bundle(
    epoch: Epoch,
    count: number,
    contents: readonly (string | (EnvelopeInit & { readonly content: string }) | Uint8Array)[],
    header: Partial<EnvelopeHeader> = {},
  ): Promise<Uint8Array> {
    const payloads = contents.map(given => {
      if (given instanceof Uint8Array) return given
      const { content, fields } = typeof given === 'string' ? { content: given } : given
      const once = { fields: { guarantee: 'at-most-once', ...fields } } as const
      return encodeMessage(this.message(epoch.to, content, once), 'message')
    })
    const said = { prev: 0, numbered: false, ...header }
    return this.#sealed(epoch, count, this.message(epoch.to, ''), encode(payloads), said)
  }

  async #sealed(
    epoch: Epoch,
    number: number,
    { priority, expiresAt }: Message,
    payload: Uint8Array,
    given: Partial<EnvelopeHeader> = {},
  ): Promise<Uint8Array> {
    const header = {
      mesh: MESH,
      destination: publicKeyOf(epoch.to.id) as Uint8Array,
      epoch: epoch.id,
      number,
      prev: number - 1,
      priority,
      expiresAt,
      numbered: true,
      shared: false,
      ...given,
    }
    const bytes = encodeHeader(header)
    return envelopeFrame(bytes, await sealDirect(epoch.key, header, bytes, payload))
  }

  /** One that is not numbered. */
  once(epoch: Epoch, count: number, content: string, init: EnvelopeInit = {}): Promise<Uint8Array> {
    const header = { prev: 0, numbered: false, ...init.header }
    return this.envelope(epoch, count, content, {
      ...init,
      header,
      fields: { guarantee: 'at-most-once', ...init.fields },
    })
  }

  message(to: Agent, content: string, { fields }: EnvelopeInit = {}): Message {
    return new Message({
      id: this.#ids(),
      sender: this.id,
      recipients: [to.id],
      contentType: 'text/plain',
      content,
      metadata: {},
      timestamp: this.#world.clock.now(),
      ttl: 600,
      tracePath: [this.id],
      guarantee: 'at-least-once',
      priority: 0,
      security: { level: 'none', authenticatedBy: 'none', roles: [] },
      ...fields,
    })
  }

  /** The frames of a type that an agent sent here, oldest first. */
  of(type: number, from: { readonly id: string }): Uint8Array[] {
    return this.heard.filter(passing => passing.from === from.id && passing.frame[0] === type).map(({ frame }) => frame)
  }

  /** The last word of an agent on an epoch. */
  acked(from: { readonly id: string }, epoch: { readonly id: string }): FeedAck | undefined {
    const acks = this.of(FrameType.acks, from).flatMap(frame => readAcks(frame.subarray(1)).acks)
    return acks.findLast(ack => ack.epoch === epoch.id)
  }

  /** Bodies of a type are arrays, or garbage. */
  frame(type: keyof typeof FrameType, body: unknown): Uint8Array {
    return frameOf(FrameType[type], body instanceof Uint8Array ? body : encode(body))
  }
}

/** Whether an agent has a link with a peer. */
export const linkedIn = (agent: Agent, peer: string) => (): boolean =>
  agent.peers().some(({ card, link }) => card.id === peer && link !== undefined)

/** The id of an epoch as it travels. */
export const epochBytes = fromHex

/** The epoch that an envelope names. */
export const epochOf = (frame: Uint8Array): string => readEnvelope(frame.subarray(1)).header.epoch

/** A set that holds nothing, as it travels. */
export const NOTHING = [0, []] as const

/** A copy with one bit changed. */
export function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice()
  copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7))
  return copy
}
