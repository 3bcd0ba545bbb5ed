import { describe, expect, test } from 'vitest'
import { mendInitChannel } from '../../src/network/webrtc-init-channel.ts'

/** The event of a channel, as soon as it comes. */
const event = (target: EventTarget, type: string): Promise<Event> =>
  new Promise(resolve => target.addEventListener(type, resolve, { once: true }))

/** A channel of that label between two connections of this page, once it is open. */
async function channel(label: string) {
  const [near, far] = [new RTCPeerConnection(), new RTCPeerConnection()]
  near.addEventListener('icecandidate', ({ candidate }) => void far.addIceCandidate(candidate ?? undefined))
  far.addEventListener('icecandidate', ({ candidate }) => void near.addIceCandidate(candidate ?? undefined))
  const mine = near.createDataChannel(label)
  const opened = new Promise<void>(resolve => {
    mine.onopen = () => resolve()
  })
  const theirs = event(far, 'datachannel')
  await near.setLocalDescription()
  await far.setRemoteDescription(near.localDescription as RTCSessionDescription)
  await far.setLocalDescription()
  await near.setRemoteDescription(far.localDescription as RTCSessionDescription)
  await opened
  const close = (): void => {
    near.close()
    far.close()
  }
  return { mine, theirs: ((await theirs) as RTCDataChannelEvent).channel, close }
}

describe('The init channel of WebRTC', () => {
  test('tells a listener that comes late that it has opened', async () => {
    mendInitChannel()
    const { mine, close } = await channel('init')
    expect((await event(mine, 'open')).type).toBe('open')
    close()
  })

  test('tells it also when the other side has closed it again, and tells of the closing', async () => {
    mendInitChannel()
    const { mine, theirs, close } = await channel('init')
    const closed = new Promise<void>(resolve => {
      mine.onclose = () => resolve()
    })
    theirs.close()
    await closed
    expect(mine.readyState).toBe('closed')
    await Promise.all([event(mine, 'open'), event(mine, 'close')])
    close()
  })

  test('tells a listener in time once, and other channels are as the platform made them', async () => {
    mendInitChannel()
    mendInitChannel()
    const connection = new RTCPeerConnection()
    expect(connection.createDataChannel('init').addEventListener).not.toBe(EventTarget.prototype.addEventListener)
    expect(connection.createDataChannel('other').addEventListener).toBe(EventTarget.prototype.addEventListener)
    connection.close()
    const { mine, close } = await channel('init')
    let count = 0
    mine.addEventListener('message', () => count++)
    mine.addEventListener('open', () => count++, { once: true })
    await event(mine, 'open')
    expect(count).toBe(1)
    close()
  })
})
