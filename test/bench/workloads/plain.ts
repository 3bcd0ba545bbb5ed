/** The baseline: frames over TCP connections that stay, with no ids but for answers, no store, no seal, no retries. */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { encodeFrames, FrameReader } from '../../../src/network/frames.ts'
import type { Member, Serve } from './member.ts'

const MAX_FRAME = 1_048_576
/** The first byte of a frame; the next four are a number, of the question or the one that is answered. */
const KIND = { told: 0, asked: 1, answer: 2 } as const

function frameOf(kind: number, number: number, content: Uint8Array): Uint8Array {
  const frame = new Uint8Array(5 + content.length)
  frame[0] = kind
  new DataView(frame.buffer).setUint32(1, number)
  frame.set(content, 5)
  return encodeFrames([frame])
}

function read(socket: Socket, onFrame: (kind: number, number: number, content: Uint8Array) => void): void {
  const reader = new FrameReader(
    MAX_FRAME,
    frame => onFrame(frame[0] ?? 0, new DataView(frame.buffer, frame.byteOffset).getUint32(1), frame.subarray(5)),
    why => socket.destroy(new Error(why)),
  )
  socket.on('data', (chunk: Buffer) => reader.push(chunk))
}

/** See the head of this file. */
export async function plainMember(_name: string): Promise<Member> {
  let serve: Serve = async () => {}
  let last = 0
  const answers = new Map<number, (content: Uint8Array) => void>()
  const sockets = new Map<string, Socket>()
  const accepted = new Set<Socket>()
  const server = createServer({ noDelay: true }, socket => {
    accepted.add(socket)
    read(socket, (kind, number, content) => {
      const reply = async (answer: Uint8Array): Promise<void> => {
        if (kind === KIND.asked) socket.write(frameOf(KIND.answer, number, answer))
      }
      void serve(content, { reply })
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const write = (to: string, frame: Uint8Array): void => void (sockets.get(to) as Socket).write(frame)
  return {
    address: (server.address() as AddressInfo).port,
    meet: async others => {
      for (const [name, port] of Object.entries(others)) {
        const socket = connect({ port: port as number, host: '127.0.0.1', noDelay: true })
        await once(socket, 'connect')
        read(socket, (_kind, number, content) => {
          answers.get(number)?.(content)
          answers.delete(number)
        })
        sockets.set(name, socket)
      }
    },
    serve: given => {
      serve = given
    },
    tell: async (to, content) => write(to, frameOf(KIND.told, 0, content)),
    ask: (to, content) =>
      new Promise(resolve => {
        answers.set(++last, resolve)
        write(to, frameOf(KIND.asked, last, content))
      }),
    links: () => sockets.size + accepted.size,
    close: async () => {
      for (const socket of [...sockets.values(), ...accepted]) socket.destroy()
      server.close()
    },
  }
}
