/**
 * A recipient, and an author of which every frame comes when the test has it come. The author is truthful: what it said
 * once holds.
 */

import { expect } from 'vitest'
import { encodeHeader, envelopeFrame, FrameType, frameOf, statesFrame } from '../../src/delivery/frames.ts'
import { HOLE_PATIENCE } from '../../src/delivery/patience.ts'
import { inboxKey } from '../../src/delivery/rows.ts'
import { type Range, RangeSet } from '../../src/feed/ranges.ts'
import { publicKeyOf } from '../../src/identity/keys.ts'
import { encodeMessage } from '../../src/message/envelope.ts'
import { type AeadKey, importKey } from '../../src/security/aead.ts'
import { makeOpening } from '../../src/security/opening.ts'
import type { OwnPrekey } from '../../src/security/prekeys.ts'
import { sealDirect } from '../../src/security/seal.ts'
import { MESH } from '../contracts/network-world.ts'
import { DeliveryWorld, type Machine, type Node } from './world.ts'

/** A message, as its author has it. */
export interface Planned {
  readonly given: boolean
  readonly priority: number
  /** s; default an hour. */
  readonly ttl?: number
}

/** What comes, or happens. */
export type Step =
  | { readonly op: 'opening'; readonly epoch: number }
  | { readonly op: 'envelope'; readonly epoch: number; readonly number: number }
  /** On the epochs up to this one, as far as they have not ended where that is asked for. */
  | { readonly op: 'word'; readonly epoch: number; readonly settles: boolean }
  | { readonly op: 'handled' | 'patience' | 'restart' }

/** An epoch of the author. */
interface Written {
  readonly id: string
  readonly key: AeadKey
  readonly opening: Uint8Array
  readonly plan: readonly Planned[]
}

/** Why copies may be refused that come again: nothing of it was opened here, it is here, or its time is over. */
const HARMLESS: ReadonlySet<string> = new Set(['unknown-epoch', 'duplicate', 'expired'])

/** See the head of this file. */
export class Restarts {
  readonly world = new DeliveryWorld()
  readonly epochs: Written[] = []
  /** As they go out each time. */
  readonly envelopes = new Map<string, Uint8Array>()
  readonly done = new Set<string>()
  machine!: Machine
  /** It says nothing by itself. */
  author!: Node
  bob!: Node
  /** What was handed on in this life and has no end yet. */
  atWork = new Map<string, () => void>()
  patient = true
  readonly overtaken: string[] = []
  readonly #plan: readonly (readonly Planned[])[]
  readonly #lean: boolean

  private constructor(plan: readonly (readonly Planned[])[], lean: boolean) {
    this.#plan = plan
    this.#lean = lean
  }

  /** @param lean openings are made when they are first needed, and name no epoch of which everything has arrived */
  static async make(plan: readonly (readonly Planned[])[], lean = false): Promise<Restarts> {
    const all = new Restarts(plan, lean)
    all.machine = await all.world.machine()
    all.author = await all.world.start(await all.world.machine())
    await all.start()
    if (!lean) await all.opened(plan.length - 1)
    return all
  }

  /** Everything up to an epoch has been opened by its author. */
  async opened(epoch: number): Promise<void> {
    while (this.epochs.length <= epoch && this.epochs.length < this.#plan.length) {
      await this.open(this.#plan[this.epochs.length] as readonly Planned[])
    }
  }

  /** Those that an opening has to name. */
  async earlier(): Promise<string[]> {
    const rows = new Set((await this.machine.store.range('inbox')).map(({ key }) => key.join()))
    const has = ({ id, plan }: Written, at: number): boolean =>
      plan.every(({ given }, i) => {
        const row = inboxKey(this.author.id, id, i + 1).join()
        return !given && (rows.has(row) || this.done.has(textOf(at, i + 1, plan)))
      })
    return this.epochs.filter((written, at) => !this.#lean || !has(written, at)).map(({ id }) => id)
  }

  async start(): Promise<void> {
    this.atWork = new Map()
    this.bob = await this.world.start(this.machine, ({ message }) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.handed(String(message.content))
      this.atWork.set(String(message.content), resolve)
      return promise
    })
  }

  async open(plan: readonly Planned[]): Promise<void> {
    const { world, author, bob, epochs } = this
    const earlier = await this.earlier()
    const prekey = bob.prekeys.current() as OwnPrekey
    const { epoch, packet, key } = await makeOpening({
      author: author.machine.identity,
      mesh: MESH,
      recipient: bob.id,
      prekey,
      earlier,
      notAfter: prekey.notAfter,
      random: world.random,
    })
    epochs.push({ id: epoch, key: await importKey(key), opening: frameOf(FrameType.opening, packet), plan })
  }

  /** A handler has something: order holds within a class, as long as nothing was given up that is missing. */
  handed(text: string): void {
    if (!this.patient) return
    const classOf = (other: string) => other.split('.')[2]
    for (const other of [...this.atWork.keys(), ...this.done]) {
      if (classOf(other) === classOf(text) && other > text) this.overtaken.push(`${text} came after ${other}`)
    }
  }

  /** Its recipient loses power. */
  lose(): void {
    this.bob.crash()
    // What it waited for does not come about any more.
    void this.bob.delivery.close()
  }

  /** Nothing is left of it. */
  end(): void {
    this.lose()
    this.author.crash()
  }

  async take(step: Step): Promise<void> {
    const { world, bob } = this
    if (step.op === 'restart') return void (await this.restart())
    if (step.op === 'handled') this.handle()
    if (step.op === 'patience') {
      this.patient = false
      if (bob.network.link(this.author.id) === undefined) await this.author.meet(bob)
      await world.clock.advance(HOLE_PATIENCE)
    }
    const frame = await this.frameOf(step)
    if (frame !== undefined) await bob.delivery.received(this.author.id, frame)
    await world.clock.advance(1)
  }

  async frameOf(step: Step): Promise<Uint8Array | undefined> {
    if ('epoch' in step) await this.opened(step.epoch)
    if (step.op === 'opening') return this.epochs[step.epoch]?.opening
    if (step.op === 'envelope') return this.envelope(step.epoch, step.number)
    if (step.op !== 'word') return undefined
    const told = this.epochs.slice(0, step.epoch + 1)
    const listed = told.filter((written, at) => written === told.at(-1) || !step.settles || !this.hasEnded(at))
    return statesFrame(
      listed.map(({ id, plan }) => {
        const skips = plan.flatMap(({ given }, at): Range[] => (given ? [[at + 1, at + 1]] : []))
        return { epoch: id, base: 0, last: plan.length, skips: RangeSet.of(skips).toWire() }
      }),
    )
  }

  /** Whether all that was not given up has been handled. */
  hasEnded(epoch: number): boolean {
    const { plan } = this.epochs[epoch] as Written
    return plan.every(({ given }, at) => given || this.done.has(textOf(epoch, at + 1, plan)))
  }

  async envelope(at: number, number: number): Promise<Uint8Array | undefined> {
    const plan = this.epochs[at]?.plan ?? []
    if (plan[number - 1]?.given !== false) return undefined
    const text = textOf(at, number, plan)
    return this.envelopes.get(text) ?? this.sealed(at, number, text)
  }

  async sealed(at: number, number: number, text: string): Promise<Uint8Array> {
    const { id, key, plan } = this.epochs[at] as Written
    const { priority, ttl = 3_600 } = plan[number - 1] as Planned
    const { bob } = this
    const message = this.author.message(bob, text, { ttl, priority })
    const header = {
      mesh: MESH,
      destination: publicKeyOf(bob.id) as Uint8Array,
      epoch: id,
      number,
      prev: 1 + plan.slice(0, number - 1).findLastIndex(before => before.priority === priority),
      priority,
      expiresAt: message.expiresAt,
      numbered: true,
      shared: false,
    }
    const bytes = encodeHeader(header)
    const frame = envelopeFrame(bytes, await sealDirect(key, header, bytes, encodeMessage(message, 'message')))
    this.envelopes.set(text, frame)
    return frame
  }

  /** The handler that began first comes to its end. */
  handle(): void {
    const [first] = this.atWork
    if (first === undefined) return
    const [text, end] = first
    this.atWork.delete(text)
    this.done.add(text)
    end()
  }

  /** Returns what was at work. @param same whether that is at work again */
  async restart(same = this.patient): Promise<string[]> {
    const before = [...this.atWork.keys()]
    expect(this.bob.errors).toEqual([])
    expect(this.bob.refused.filter(reason => !HARMLESS.has(reason))).toEqual([])
    this.lose()
    await this.start()
    await this.world.clock.advance(1)
    // What was given up and came late may be at work first now.
    if (same) expect([...this.atWork.keys()]).toEqual(expect.arrayContaining(before))
    return before
  }

  /** After all, everything that had been handed on has its end, without a word from its author. */
  async finish(): Promise<void> {
    const before = await this.restart()
    while (this.atWork.size > 0) {
      this.handle()
      await this.world.clock.advance(1)
    }
    expect([...this.done]).toEqual(expect.arrayContaining(before))
    expect(this.overtaken).toEqual([])
  }
}

const textOf = (epoch: number, number: number, plan: readonly Planned[]): string =>
  `${epoch}.${number}.${plan[number - 1]?.priority}`
