import { RTCPeerConnection } from 'node-datachannel/polyfill'
import { expect, test } from 'vitest'
import { webrtc } from '../../src/network/webrtc-node.ts'
import { turn } from '../contracts/waiting.ts'

type Peer = InstanceType<typeof RTCPeerConnection>
type DataChannel = ReturnType<Peer['createDataChannel']>

/** An event as soon as it comes. */
const event = (target: EventTarget, type: string): Promise<Event> =>
  new Promise(resolve => target.addEventListener(type, resolve, { once: true }))

/** Two connections with a channel of that label between them, both ends of it open. */
async function channel(label: string): Promise<{ mine: DataChannel; theirs: DataChannel; close(): void }> {
  const [near, far] = [new RTCPeerConnection({ iceServers: [] }), new RTCPeerConnection({ iceServers: [] })]
  const mine = near.createDataChannel(label)
  const opened = new Promise<void>(resolve => {
    mine.onopen = () => resolve()
  })
  const theirs = event(far, 'datachannel')
  // Everything that a side gathers is in what it describes then.
  const gathered = (side: Peer): Promise<void> =>
    new Promise(resolve => {
      side.onicegatheringstatechange = () => side.iceGatheringState === 'complete' && resolve()
    })
  const nearReady = gathered(near)
  await near.setLocalDescription(await near.createOffer())
  await nearReady
  const farReady = gathered(far)
  // Where it knew the way already, it would begin to encrypt before the other side knows with what, which ends that one.
  const { type, sdp } = near.localDescription as RTCSessionDescription
  await far.setRemoteDescription({ type, sdp: sdp.replace(/^a=(candidate|end-of-candidates).*\r\n/gm, '') })
  await far.setLocalDescription(await far.createAnswer())
  await farReady
  await near.setRemoteDescription(far.localDescription as never)
  await opened
  return {
    mine,
    theirs: ((await theirs) as Event & { channel: DataChannel }).channel,
    close: () => {
      near.close()
      far.close()
    },
  }
}

test('In Node too the init channel of WebRTC tells a listener that comes late that it has opened and closed', async () => {
  webrtc()
  await turn()
  const { mine, theirs, close } = await channel('init')
  expect((await event(mine, 'open')).type).toBe('open')
  const closed = new Promise<void>(resolve => {
    mine.onclose = () => resolve()
  })
  theirs.close()
  await closed
  expect(mine.readyState).toBe('closed')
  await Promise.all([event(mine, 'open'), event(mine, 'close')])
  close()
})

test('A connection that ends in its handshake is told to whoever waits for its init channel, or does so only then', async () => {
  webrtc()
  await turn()
  const connection = new RTCPeerConnection({ iceServers: [] })
  const init = connection.createDataChannel('init')
  const waiting = event(init, 'error')
  let opened = 0
  init.addEventListener('open', () => opened++)
  connection.close()
  expect(await waiting).toMatchObject({ message: 'the WebRTC connection ended in its handshake' })
  init.addEventListener('open', () => opened++)
  await event(init, 'error')
  expect(opened).toBe(0)
})
