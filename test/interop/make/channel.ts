/** The bytes of a channel, frames of control, names of topics. */

import { encode } from '../../../src/message/codec.ts'
import { FrameType, frameOf } from '../../../src/network/frames.ts'
import type { Value } from '../cases.ts'
import { agents, fixed, joined, Maker } from './maker.ts'

const SENT = { bytes: 4_096, frames: 3 }

export async function channel(): Promise<Maker> {
  const maker = new Maker()
  await frames(maker)
  await control(maker)
  return maker
}

async function frames(maker: Maker): Promise<void> {
  const about = { kind: 'channel', limit: 1_024 } as const
  const frame = (type: number, length: number): Value => ({ type, body: fixed(7, length) })
  await maker.good({ ...about, name: 'nothing' }, { frames: [] })
  await maker.good({ ...about, name: 'a frame without a body' }, { frames: [frame(4, 0)] })
  await maker.good(
    { ...about, name: 'frames of all lengths of a length' },
    {
      frames: [frame(16, 126), frame(255, 127), frame(2, 1), frame(0, 1_023)],
    },
  )
  const bad = (name: string, reason: string, bytes: Uint8Array): void => maker.bad({ ...about, name }, reason, bytes)
  bad('a frame of no length', 'malformed', joined('00'))
  bad('a length that is not the shortest', 'malformed', joined('8100', '04'))
  bad('a length of 0 in two bytes', 'malformed', joined('8000'))
  bad('a frame one byte too long', 'too-large', joined('8108'))
  bad('a frame of 2 GiB', 'too-large', joined('ffffffff07'))
  bad('a length of more than four bytes', 'too-large', joined('80808080'))
  bad('a good frame, then a bad length', 'malformed', joined('0104', '00'))
}

async function control(maker: Maker): Promise<void> {
  const about = { kind: 'control', peer: agents.ada.id, sent: SENT } as const
  const good = (name: string, value: Value): Promise<Uint8Array> => maker.good({ ...about, name }, value)
  await good('the first ping', { type: 'ping', number: 1 })
  await good('a late ping', { type: 'ping', number: 4_294_967_296 })
  await good('a pong', { type: 'pong', number: 1 })
  await good('a goodbye', { type: 'bye' })
  await good('a refusal after the hello', { type: 'refused', reason: 'wrong-mesh' })
  await good('nothing was read', { type: 'reading', bytes: 0, frames: 0, held: false })
  const report = { type: 'reading', frames: 3, held: true }
  await maker.good({ ...about, name: 'everything was read' }, { ...report, bytes: SENT.bytes })
  const reading = (...items: unknown[]): Uint8Array => frameOf(FrameType.reading, encode(items))
  maker.foreign({ ...about, name: 'a report with more' }, reading(1_000, 3, true, 'later'), { ...report, bytes: 1_000 })
  const bad = (name: string, reason: string, bytes: Uint8Array, zeros?: number): void =>
    maker.bad({ ...about, name }, reason, bytes, zeros)
  bad('more was read than was sent', 'malformed', reading(SENT.bytes + 1, 3, false))
  bad('more frames were worked off than were sent', 'malformed', reading(0, 4, false))
  bad('less than nothing was read', 'malformed', reading(-1, 0, false))
  bad('a report of two items', 'malformed', reading(0, 0))
  bad('held by a number', 'malformed', reading(0, 0, 0))
  bad('a report that is no array', 'malformed', frameOf(FrameType.reading, encode(0)))
  bad('a report that is not the shortest', 'malformed', joined('0583', '1800', '00f4'))
  bad('a second hello', 'malformed', frameOf(FrameType.hello, encode([])))
  bad('a frame of type 6', 'malformed', frameOf(6))
  bad('a frame of type 15', 'malformed', frameOf(15))
  bad('a ping of 65 bytes', 'too-large', frameOf(FrameType.ping), 64)
}

export async function topics(maker: Maker): Promise<void> {
  const about = { kind: 'topic' } as const
  await maker.good({ ...about, name: 'presence' }, { topic: '/afp/1/demo/presence' })
  for (const [topicName, encoded] of [
    ['news', 'news'],
    ['$broadcast', '%24broadcast'],
    ['Wetter/Zürich', 'Wetter%2FZ%C3%BCrich'],
    ["a b-_.!~*'()", "a%20b-_.!~*'()"],
    ['天気', '%E5%A4%A9%E6%B0%97'],
    ['presence', 'presence'],
  ] as const)
    await maker.good({ ...about, name: `the topic ${topicName}`, topicName }, { topic: `/afp/1/demo/topic/${encoded}` })
}
