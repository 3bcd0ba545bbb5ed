/** Hellos that say how large frames may be. */

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
