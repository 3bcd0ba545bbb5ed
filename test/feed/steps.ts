/** What can happen to an author, a reader and what is between them. */

import { numbersIn } from '../../src/feed/ranges.ts'
import type { Written } from './history.ts'
import type { World } from './world.ts'

/** What a step does; `a` and `b` choose among what there is. */
export interface Step {
  readonly op: keyof typeof OPS
  readonly a: number
  readonly b: number
}

/** Does a step, and checks that everything is as it should be. */
export function take(world: World, { op, a, b }: Step): void {
  OPS[op](world, a, b)
  world.check()
}

const sendable = ({ rows, gone }: Written) => [...rows.values()].filter(({ number }) => !gone.has(number))
const pick = <T>(items: readonly T[], at: number): T | undefined => items[at % Math.max(1, items.length)]

export const OPS = {
  send: (world: World, a: number) => world.commitSend(world.number(a % 3)),
  sendLater: (world: World, a: number) => void world.pendingSends.push(world.number(a % 3)),
  commitSend: (world: World, a: number) => {
    const send = pick(world.pendingSends, a)
    if (send === undefined) return
    world.pendingSends = world.pendingSends.filter(other => other !== send)
    world.commitSend(send)
  },
  failSend: (world: World, a: number) => {
    const send = pick(world.pendingSends, a)
    if (send === undefined) return
    world.pendingSends = world.pendingSends.filter(other => other !== send)
    world.skip(send.epoch, send.position.number)
  },
  again: (world: World, a: number, b: number) => {
    const epoch = pick([...world.written.values()], a)
    const position = epoch && pick(sendable(epoch), b)
    if (position !== undefined) world.say({ kind: 'envelope', epoch: (epoch as Written).id, position })
  },
  skip: (world: World, a: number, b: number) => {
    const epoch = pick([...world.written.values()], a)
    const position = epoch && pick(sendable(epoch), b)
    if (position !== undefined) world.skip(epoch as Written, position.number)
  },
  rotate: (world: World) => {
    // What waits for its commit was numbered in the old epoch.
    for (const send of world.pendingSends.splice(0)) world.commitSend(send)
    world.open()
  },
  // Messages that are not numbered need an opening too.
  announce: (world: World) => world.sendOpening((world.current ?? world.open()).id),
  states: (world: World) => world.states(),
  ack: (world: World, a: number) => {
    const epoch = pick(world.reader.ids, a)
    const packet = epoch === undefined ? undefined : world.ack(epoch)
    if (packet !== undefined) world.say(packet)
  },
  deliver: (world: World, a: number, b: number) => {
    const packet = pick(world.wire, a)
    if (packet === undefined) return
    world.wire = world.wire.filter(other => other !== packet)
    world.arrive(packet, b === 7)
  },
  deliverNext: (world: World) => {
    const packet = world.wire.shift()
    if (packet !== undefined) world.arrive(packet)
  },
  lose: (world: World, a: number) => {
    const packet = pick(world.wire, a)
    world.wire = world.wire.filter(other => other !== packet)
  },
  replay: (world: World, a: number) => {
    const packet = pick(world.sent, a)
    if (packet !== undefined) world.arrive(packet)
  },
  commit: (world: World) => world.commits.shift()?.apply(),
  commitAll: (world: World) => world.flush(),
  failCommit: (world: World) => world.commits.shift()?.fail(),
  commitAuthor: (world: World) => world.authorCommits.shift()?.(),
  process: (world: World, a: number) => world.end(a % 3, false),
  refuse: (world: World, a: number) => world.end(a % 3, true),
  giveUp: (world: World, a: number) => {
    const epoch = pick(world.reader.ids, a)
    if (epoch === undefined) return
    const holes = world.reader.feed(epoch)?.holes() ?? []
    for (const number of numbersIn(holes)) world.of(epoch, number).givenUp = true
    world.hand(world.reader.giveUp(epoch, holes).released)
  },
  giveUpEpoch: (world: World, a: number) => {
    const epoch = pick([...world.reader.awaited()], a)
    if (epoch === undefined) return
    world.loose.add(epoch)
    world.hand(world.reader.giveUpEpochs([epoch]))
  },
  expire: (world: World, a: number, b: number) => {
    const epoch = pick(world.reader.ids, a)
    if (epoch === undefined) return
    const number = pick(world.waiting(epoch), b)
    if (number !== undefined) world.expire(epoch, number)
  },
  endEpoch: (world: World, a: number) => {
    const epoch = pick(world.reader.ids, a)
    if (epoch !== undefined) world.endEpoch(epoch)
  },
  save: (world: World, a: number) => {
    const epoch = pick(world.reader.ids, a)
    if (epoch !== undefined) world.save(epoch)
  },
  shrink: (world: World) => world.shrink(),
  crashReader: (world: World) => world.crashReader(),
  crashAuthor: (world: World) => world.crashAuthor(),
}
