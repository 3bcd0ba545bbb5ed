/** The bytes of what a golden frame says, by the functions that this package sends with. */

import type { Random } from '../../src/common/random.ts'
import { bundled } from '../../src/delivery/bundle.ts'
import {
  acksFrame,
  FrameType,
  frameOf,
  LOST_KEY_LABEL,
  lostKeyBody,
  lostKeyFrame,
  statesFrame,
  unknownEpochsFrame,
} from '../../src/delivery/frames.ts'
import type { OutEpoch } from '../../src/delivery/out-epoch.ts'
import type { Draft } from '../../src/delivery/outgoing-parts.ts'
import { sealFrame } from '../../src/delivery/sealing.ts'
import { signCard } from '../../src/identity/card.ts'
import { createIdentity, type Identity, publicKeyOf } from '../../src/identity/keys.ts'
import { encode } from '../../src/message/codec.ts'
import { encodeMessage, type MessageKind } from '../../src/message/envelope.ts'
import { encodeFrames, FrameType as NetworkFrame } from '../../src/network/frames.ts'
import { sealGossip } from '../../src/network/gossip.ts'
import { encodeHello } from '../../src/network/hello.ts'
import { importKey } from '../../src/security/aead.ts'
import { makeOpening } from '../../src/security/opening.ts'
import { sealShared } from '../../src/security/shared-content.ts'
import { bytesOf, type Case, openingOf, type Value, type World } from './cases.ts'
import { ackOf, cardFields, messageOf, stateOf } from './values.ts'

/** A case whose bytes are still to be made. */
export type Wanted = Omit<Case, 'bytes'>

const CONTROL: Readonly<Record<string, number>> = { ...NetworkFrame }

/** The bytes of a case from what it says and what was random. */
export async function remake(wanted: Wanted, world: World, cases: readonly Case[]): Promise<Uint8Array> {
  const { kind, value = {} } = wanted
  switch (kind) {
    case 'card':
      return (await cardOf(value, world)).bytes
    case 'hello':
      return encodeHello(world.mesh, await cardOf(value.card as Value, world), value.frameBytes as number | undefined)
    case 'message':
      return encodeMessage(messageOf(value, 'somebody', wanted.topic), value.kind as MessageKind)
    case 'gossip':
      return sealGossip(
        await identityOf(value.author as string, world),
        wanted.topic as string,
        (value.payloads as string[]).map(bytesOf),
        { now: value.time as number, random: replay(wanted) },
      )
    case 'presence':
      if (value.type === 'bye') return encode([1, value.seq])
      return encode([0, (await cardOf(value.card as Value, world)).bytes, value.hidden, value.n])
    case 'channel':
      return encodeFrames(
        (value.frames as { type: number; body: string }[]).map(({ type, body }) => frameOf(type, bytesOf(body))),
      )
    case 'control':
      return frameOf(CONTROL[value.type as string] as number, controlBody(value))
    case 'opening':
      return frameOf(FrameType.opening, await openingPacket(wanted, world))
    case 'envelope':
      return envelope(wanted, world, cases)
    case 'acks':
      return acksFrame(value.credit as number, (value.acks as Value[]).map(ackOf))
    case 'states':
      return statesFrame((value.states as Value[]).map(stateOf))
    case 'unknown':
      return unknownEpochsFrame(value.epochs as string[])
    case 'lost-key': {
      const epochs = value.epochs as string[]
      const body = lostKeyBody(world.mesh, wanted.author as string, epochs)
      return lostKeyFrame(epochs, await (await identityOf(wanted.self, world)).sign(LOST_KEY_LABEL, body))
    }
    case 'topic':
      return new Uint8Array()
  }
}

export async function identityOf(id: string | undefined, { agents }: World): Promise<Identity> {
  const found = Object.values(agents).find(agent => agent.id === id)
  if (found === undefined) throw new Error(`nobody has the id ${id}`)
  return createIdentity(bytesOf(found.seed))
}

/** What was random, once more. */
export function replay({ entropy = [] }: Pick<Case, 'entropy'>): Random {
  let next = 0
  return {
    bytes: length => {
      const bytes = bytesOf(entropy[next++] ?? '')
      if (bytes.length !== length) throw new Error(`asked for ${length} random bytes, there are ${bytes.length}`)
      return bytes
    },
    float: () => {
      throw new Error('nothing here is left to chance')
    },
  }
}

const cardOf = async (value: Value, world: World) =>
  signCard(await identityOf(value.id as string, world), cardFields(value))

function controlBody({ type, number, bytes, frames, held, reason }: Value): Uint8Array {
  if (type === 'bye') return new Uint8Array()
  if (type === 'refused') return encode(reason)
  return encode(type === 'reading' ? [bytes, frames, held] : number)
}

async function openingPacket(wanted: Wanted, world: World): Promise<Uint8Array> {
  const { value = {}, author, self } = wanted
  const prekey = Object.values(world.prekeys).find(({ id }) => id === value.prekey)
  if (prekey === undefined) throw new Error(`there is no prekey ${value.prekey}`)
  const { packet } = await makeOpening({
    author: await identityOf(author, world),
    mesh: world.mesh,
    recipient: self as string,
    prekey: { id: bytesOf(prekey.id), publicKey: bytesOf(prekey.publicKey), notAfter: prekey.notAfter },
    earlier: value.earlier as string[],
    notAfter: value.notAfter as number,
    random: replay(wanted),
  })
  return packet
}

async function envelope(wanted: Wanted, world: World, cases: readonly Case[]): Promise<Uint8Array> {
  const { value = {}, author, self } = wanted
  const { epoch, key } = openingOf(wanted, cases).value as { epoch: string; key: string }
  const to = { mesh: world.mesh, destination: publicKeyOf(self as string) as Uint8Array }
  const place = value as { number: number; prev: number; numbered: boolean } & Value
  const sealer = { id: epoch, key: await importKey(bytesOf(key)) } as OutEpoch
  if (value.messages !== undefined) {
    const drafts = (value.messages as Value[]).map((said): Draft => {
      const { id, guarantee, priority, expiresAt } = messageOf(said, author as string)
      const payload = encodeMessage(messageOf(said, author as string), said.kind as MessageKind)
      return { messageId: id, guarantee, priority, expiresAt, strategy: undefined, payload }
    })
    return sealFrame(sealer, bundled(drafts), place, to)
  }
  const said = value.message as Value
  const message = messageOf(said, author as string)
  const { id, recipients, guarantee, priority, expiresAt } = message
  const payload = encodeMessage(message, said.kind as MessageKind)
  const identity = await identityOf(author, world)
  const seal = () => sealShared(identity, { id, mesh: world.mesh, recipients }, payload, replay(wanted))
  const shared = value.shared === true ? { shared: { recipients, content: seal } } : {}
  return sealFrame(
    sealer,
    { messageId: id, guarantee, priority, expiresAt, strategy: undefined, payload, ...shared },
    place,
    to,
  )
}
