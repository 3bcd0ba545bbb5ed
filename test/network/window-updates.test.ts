import type { Connection, Stream } from '@libp2p/interface'
import { expect, test } from 'vitest'
import { until } from '../relay/support.ts'
import { startNode } from './bare-node.ts'

/** What streams of yamux begin with, bytes. */
const WINDOW = 262_144

interface Muxer {
  send(data: { readonly byteLength: number; subarray(): Uint8Array }): boolean
}
/** The header of a frame, of which one that gives room back has nothing else: version, type, flags, stream, length. */
const HEADER = 12
const WINDOW_UPDATE = 1

/** A stream to a node that reads it, what it has read, and how often it has given back room. */
async function reading() {
  const [node, writer] = [await startNode(), await startNode([])]
  const connection = await writer.dial(node.getMultiaddrs())
  await writer.services.ping.ping(node.peerId)
  const opened = Promise.withResolvers<Stream>()
  await node.handle('/test/data', end => opened.resolve(end))
  const stream = await connection.newStream('/test/data')
  const end = await opened.promise
  let bytes = 0
  end.addEventListener('message', ({ data }) => {
    bytes += data.byteLength
  })
  const into = node.getConnections(writer.peerId)[0] as Connection & { muxer: Muxer }
  let updates = 0
  const send = into.muxer.send.bind(into.muxer)
  into.muxer.send = data => {
    if (data.byteLength === HEADER && data.subarray()[1] === WINDOW_UPDATE) updates++
    return send(data)
  }
  const has = (count: number): Promise<void> => until(() => bytes >= count, [end, 'message'])
  return { stream, end, has, updates: () => updates }
}

test('Room is given back once half of a window was read, not for each piece of data', async () => {
  const { stream, has, updates } = await reading()
  for (let i = 1; i <= 100; i++) {
    stream.send(new Uint8Array(1_000))
    await has(i * 1_000)
  }
  expect(updates()).toBeLessThanOrEqual(1)
})

test('However much comes it never waits for room that was read', async () => {
  const { stream, has, updates } = await reading()
  const piece = new Uint8Array(10_000)
  for (let sent = 0; sent < 20 * WINDOW; sent += piece.length) {
    if (!stream.send(piece)) await until(() => !stream.writableNeedsDrain, [stream, 'drain'])
  }
  await has(20 * WINDOW)
  expect(updates()).toBeGreaterThan(0)
  expect(updates()).toBeLessThan(100)
})

test('A reader that paused gives back all that it has read since when it goes on', async () => {
  const { stream, end, has } = await reading()
  end.pause()
  let full = false
  for (let sent = 0; sent < 2 * WINDOW && !full; sent += 1_000) full = !stream.send(new Uint8Array(1_000))
  expect(full).toBe(true)
  end.resume()
  await has(WINDOW)
})
