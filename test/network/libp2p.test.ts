import { createIdentity } from '../../src/identity/keys.ts'
import type { Carrier } from '../../src/network/carrier.ts'
import { libp2pCarrier } from '../../src/network/libp2p.ts'
import { type CarrierWorld, carrierContract } from '../contracts/carrier.ts'
import { eventually } from '../contracts/waiting.ts'

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
