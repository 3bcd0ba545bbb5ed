/** A transport of libp2p's whose connections are changed before anybody has them. */

import type { MultiaddrConnection, Upgrader } from '@libp2p/interface'
import type { TransportFactory } from './node.ts'

/** Has `mend` change each connection of a transport's: all pass through the upgrader first. */
export const mended =
  (factory: TransportFactory, mend: (connection: MultiaddrConnection) => void): TransportFactory =>
  components => {
    const transport = factory(components)
    const dial = transport.dial.bind(transport)
    const createListener = transport.createListener.bind(transport)
    const mending = (upgrader: Upgrader): Upgrader =>
      Object.assign(Object.create(upgrader), {
        upgradeOutbound: (connection: MultiaddrConnection, options: never) => {
          mend(connection)
          return upgrader.upgradeOutbound(connection, options)
        },
        upgradeInbound: (connection: MultiaddrConnection, options: never) => {
          mend(connection)
          return upgrader.upgradeInbound(connection, options)
        },
      })
    transport.dial = (address, options) => dial(address, { ...options, upgrader: mending(options.upgrader) })
    transport.createListener = options => createListener({ ...options, upgrader: mending(options.upgrader) })
    return transport
  }
