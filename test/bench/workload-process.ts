/** Workers of the workloads in a process of their own: they do steps of work, pass messages on, call an API and answer. */

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answerCalls } from '../../e2e/fixtures/process.ts'
import type { Kind } from './targets.ts'
import { agentMember } from './workloads/agents.ts'
import { type Duty, type Member, work } from './workloads/member.ts'
import { plainMember } from './workloads/plain.ts'

const members = new Map<string, Member>()

/** What is asked for. */
export interface Made {
  readonly kind: Kind
  readonly name: string
  readonly folder: string
}

answerCalls({
  /** Makes workers; resolves with their addresses, by name. */
  make: async (all: readonly Made[]) => {
    const addresses: Record<string, unknown> = {}
    for (const { kind, name, folder } of all) {
      const member = kind === 'plain' ? await plainMember(name) : await agentMember(kind, name, folder)
      members.set(name, member)
      addresses[name] = member.address
    }
    return addresses
  },
  /** Tells a worker of those it has to reach. */
  meet: async (name: string, others: Readonly<Record<string, unknown>>) => {
    await members.get(name)?.meet(others)
  },
  /** What a worker does with each message from now on. */
  serve: (name: string, duty: Duty) => {
    const member = members.get(name) as Member
    member.serve(async (content, { reply }) => {
      if (duty.work > 0) work(duty.work)
      if (duty.api !== undefined) await (await fetch(duty.api)).text()
      if (duty.next === undefined) await reply(content)
      else await member.tell(duty.next, content)
    })
  },
  /** Starts an API elsewhere, which takes so many ms; resolves with its URL. */
  api: async (delay: number) => {
    const server = createServer((_request, response) => {
      setTimeout(() => response.end(JSON.stringify({ rates: [1, 2, 3] })), delay)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  },
  /** Connections of all workers here. */
  links: () => [...members.values()].reduce((sum, member) => sum + member.links(), 0),
})
