/** TCP as Node has it, with frames that have their length in front. */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import type { Adapter } from './adapter.ts'
import { framesOf, framesTo } from './frames.ts'

/** See the head of this file. */
export const tcp: Adapter = {
  receive: async (_place, arrived) => {
    const over = framesOf(arrived)
    const server = createServer({ noDelay: true }, socket => {
      const read = over.reader(bytes => void socket.write(bytes))
      socket.on('data', read)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return { address: (server.address() as AddressInfo).port, begin: over.begin }
  },
  send: async (_place, address, window) => {
    const socket = connect({ port: address as number, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return framesTo(window, {
      write: bytes => (socket.write(bytes) ? undefined : once(socket, 'drain')),
      listen: onData => void socket.on('data', onData),
    })
  },
}
