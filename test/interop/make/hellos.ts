/** Hellos that say how large frames may be, and what has as many items as there may be. */

import { decode, encode } from '../../../src/message/codec.ts'
import { FrameType, frameOf } from '../../../src/network/frames.ts'
import { plain } from './cards.ts'
import { agents, Maker, MESH } from './maker.ts'

export async function hellos(): Promise<Maker> {
  const maker = new Maker()
  const about = { kind: 'hello', peer: agents.ada.id } as const
  const good = (name: string, frameBytes: number): Promise<Uint8Array> =>
    maker.good({ ...about, name }, { card: plain, frameBytes })
  const large = await good('a hello of an agent with larger frames', 2 ** 21)
  await good('a hello of an agent with smaller frames', 117_620)
  await good('a hello of an agent whose frames are as large as may be', 2 ** 53 - 1)
  const [, , card] = decode(large.subarray(1)) as unknown[]
  const foreign = (name: string, largest: unknown): void =>
    maker.foreign({ ...about, name }, frameOf(FrameType.hello, encode([1, MESH, card, largest])), { card: plain })
  foreign('a hello that says what needs not be said', 2 ** 20)
  foreign('a hello of an agent with frames of nothing', 0)
  foreign('a hello of an agent with frames of less than nothing', -1)
  foreign('a hello of an agent with frames of half a byte more', 117_620.5)
  foreign('a hello of an agent with frames of text', '117620')
  return maker
}

/** Those that say less than every agent takes. */
export async function leastHellos(): Promise<Maker> {
  const maker = new Maker()
  const about = { kind: 'hello', peer: agents.ada.id } as const
  const least = { card: plain, frameBytes: 2 ** 16 }
  const name = 'a hello of an agent with frames as small as may be'
  const [, , card] = decode((await maker.good({ ...about, name }, least)).subarray(1)) as unknown[]
  const foreign = (name: string, largest: number): void =>
    maker.foreign({ ...about, name }, frameOf(FrameType.hello, encode([1, MESH, card, largest])), least)
  foreign('a hello of an agent with frames of a byte', 1)
  foreign('a hello of an agent with frames of a byte less than that', 2 ** 16 - 1)
  return maker
}

/** What later versions may add, up to the most items that there may be and beyond. */
export async function items(): Promise<Maker> {
  const maker = new Maker()
  const hello = { kind: 'hello', peer: agents.ada.id } as const
  const bye = { kind: 'presence', author: agents.ada.id } as const
  const [, , card] = decode((await maker.good({ ...hello, name: 'a hello' }, { card: plain })).subarray(1)) as unknown[]
  const proof = (count: number): Uint8Array =>
    frameOf(FrameType.hello, encode([1, MESH, card, new Array(count).fill(0)]))
  const long = (count: number): Uint8Array => encode([1, 5, new Array(count).fill(0)])
  maker.foreign({ ...hello, name: 'a hello with 256 items' }, proof(251), { card: plain })
  maker.bad({ ...hello, name: 'a hello with 257 items' }, 'malformed', proof(252))
  maker.foreign({ ...bye, name: 'a goodbye with 256 items' }, long(252), { type: 'bye', seq: 5 })
  maker.bad({ ...bye, name: 'a goodbye with 257 items' }, 'malformed', long(253))
  const another = (items: unknown): Uint8Array => frameOf(FrameType.hello, encode([2, items]))
  const maps = (count: number): unknown[] => new Array(count).fill(new Map([[0, []]]))
  maker.bad({ ...hello, name: 'a hello of version 2 with 256 items' }, 'wrong-version', another([...maps(84), 0]))
  maker.bad({ ...hello, name: 'a hello of version 2 with 258 items' }, 'malformed', another(maps(85)))
  return maker
}
