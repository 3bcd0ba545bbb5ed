import { expect, test } from 'vitest'
import { utf8 } from '../../src/common/bytes.ts'
import { createIdentity } from '../../src/identity/keys.ts'
import type { Carrier } from '../../src/network/carrier.ts'
import { libp2pCarrier } from '../../src/network/libp2p.ts'
import { type CarrierWorld, carrierContract } from '../contracts/carrier.ts'
import { Reader } from '../contracts/carrier-ends.ts'
import { eventually, until } from '../contracts/waiting.ts'

/** Carriers on loopback. */
const world = (listen: string) => async (): Promise<CarrierWorld> => {
  const carriers: Carrier[] = []
  return {
    create: async () => {
      const carrier = libp2pCarrier({ identity: await createIdentity(), listen: [listen] })
      carriers.push(carrier)
      await carrier.start()
      await eventually(carrier, 'addresses', () => carrier.addresses().length > 0)
      return carrier
    },
    close: async () => {
      await Promise.all(carriers.map(carrier => carrier.stop()))
    },
  }
}

carrierContract('The carrier on libp2p over TCP', world('/ip4/127.0.0.1/tcp/0'))
carrierContract('The carrier on libp2p over WebSocket', world('/ip4/127.0.0.1/tcp/0/ws'))

test('a carrier whose address is taken says so and leaves nothing behind', async () => {
  const { create, close } = await world('/ip4/127.0.0.1/tcp/0')()
  const holder = await create()
  const listen = [(holder.addresses()[0] as string).replace(/\/p2p\/.*/, '')]
  const carrier = libp2pCarrier({ identity: await createIdentity(), listen })
  await expect(carrier.start()).rejects.toMatchObject({
    code: 'NETWORK_FAILED',
    message: `cannot listen on ${listen}`,
  })
  await carrier.stop()
  await close()
})

test.each(['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws'])(
  'a carrier at %s has stopped once others have read what it sent before',
  async listen => {
    const { create, close } = await world(listen)()
    const [a, b] = [await create(), await create()]
    const taken = Promise.withResolvers<Reader>()
    a.handle('/test/1', theirs => taken.resolve(new Reader(theirs)))
    const opened = until(b, 'connection:open', ({ peer }) => peer === a.id)
    await a.dial(b.id, b.addresses())
    const mine = new Reader(await (await opened).open('/test/1'))
    mine.channel.send(utf8('hello'))
    const theirs = await taken.promise
    await theirs.take(5)
    mine.channel.send(utf8('goodbye'))
    await b.stop()
    expect(theirs.received).toBe(12)
    await close()
  },
)
