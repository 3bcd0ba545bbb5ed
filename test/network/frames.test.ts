import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeFrames, type FrameFault, FrameReader, frameOf } from '../../src/network/frames.ts'

function reader(maxBytes = 1_000) {
  const frames: number[][] = []
  const faults: FrameFault[] = []
  const read = new FrameReader(
    maxBytes,
    frame => frames.push([...frame]),
    fault => faults.push(fault),
  )
  return { read, frames, faults }
}

describe('Frames', () => {
  test('come out as they went in, however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 20 }),
        (sent, cuts) => {
          const { read, frames, faults } = reader()
          const bytes = encodeFrames(sent)
          for (let at = 0, i = 0; at < bytes.length; i++) {
            const cut = cuts[i % cuts.length] as number
            read.push(bytes.slice(at, at + cut))
            at += cut
          }
          expect(frames).toEqual(sent.map(frame => [...frame]))
          expect(faults).toEqual([])
        },
      ),
    )
  })

  test('come out as they went in when they are cut in two at every byte', () => {
    const sent = [frameOf(1), frameOf(16, new Uint8Array(200).fill(7)), frameOf(3, Uint8Array.of(9)), frameOf(2)]
    const bytes = encodeFrames(sent)
    for (let at = 0; at <= bytes.length; at++) {
      const { read, frames } = reader()
      read.push(bytes.slice(0, at))
      read.push(bytes.slice(at))
      expect(frames).toEqual(sent.map(frame => [...frame]))
    }
  })

  test.each<[string, FrameFault, number[]]>([
    ['2 GiB', 'too-large', [0x80, 0x80, 0x80, 0x80, 0x08]],
    ['one byte above the limit', 'too-large', [0xe9, 0x07]],
    ['256 MiB less one byte', 'too-large', [0xff, 0xff, 0xff, 0x7f]],
    ['nothing', 'malformed', [0x00]],
    ['one in two bytes', 'malformed', [0x81, 0x00]],
    ['nothing in three bytes', 'malformed', [0x80, 0x80, 0x00]],
  ])(
    'a length of %s is a fault, in one piece or byte by byte, and nothing is read after it',
    (_what, fault, length) => {
      for (const cut of [length.length, 1]) {
        const { read, frames, faults } = reader()
        const bytes = Uint8Array.from([1, 5, ...length, 1, 6])
        for (let at = 0; at < bytes.length; at += cut) read.push(bytes.slice(at, at + cut))
        expect(faults).toEqual([fault])
        expect(frames).toEqual([[5]])
      }
    },
  )

  test('the limit itself is no fault, and may change between frames', () => {
    const { read, frames, faults } = reader(5)
    read.push(encodeFrames([new Uint8Array(5)]))
    read.maxBytes = 6
    read.push(encodeFrames([new Uint8Array(6), new Uint8Array(7)]))
    expect(frames.map(frame => frame.length)).toEqual([5, 6])
    expect(faults).toEqual(['too-large'])
  })

  test('a reader that is stopped leaves the rest of the chunk alone', () => {
    const frames: number[] = []
    const read: FrameReader = new FrameReader(
      10,
      frame => {
        frames.push(frame[0] as number)
        if (frame[0] === 2) read.stop()
      },
      () => {},
    )
    read.push(encodeFrames([Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)]))
    expect(frames).toEqual([1, 2])
  })
})
