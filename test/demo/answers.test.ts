import { type Agent, createAgent, createIdentity, type Message, memoryStore } from 'agent-flow-protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { CannotAnswer, type Reply, serve, type Watch } from '../../demo/behaviours/behaviour.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const listen = ['/ip4/127.0.0.1/tcp/0']
const open = async (options: Partial<Parameters<typeof createAgent>[0]> & { name: string }): Promise<Agent> => {
  const agent = await createAgent({ mesh: 'test', listen, ...options })
  closing.push(() => agent.close())
  return agent
}

/** Somebody who writes to a machine that answers with `reply`, and all that the machine says to them. */
async function talk(reply: (agent: Agent) => Reply, options: { store?: ReturnType<typeof memoryStore> } = {}) {
  const shown: (string | undefined)[] = []
  const watch: Watch = { replied: (_message, _content, _context, id) => shown.push(id) }
  const machine = await open({ name: 'machine', ...options })
  serve(machine, watch, reply(machine))
  const ada = await open({ name: 'ada', peers: machine.addresses })
  const answers: Message[] = []
  // What a machine says comes in order: after `last`, nothing that was said before is still on its way.
  const last = Promise.withResolvers<void>()
  ada.handle(message => {
    if (message.parentId === undefined) last.resolve()
    else answers.push(message)
  })
  const end = async (): Promise<void> => {
    await machine.send(ada.id, 'that was all')
    await last.promise
  }
  return { machine, ada, answers, shown, end }
}

/** Reads a value that somebody else changes before it is done, `times` times: each time it has to run again. */
const overtaken =
  (times: number, answer: (run: number) => string): ((agent: Agent) => Reply) =>
  agent => {
    let runs = 0
    return async (_message, { transaction }) => {
      await transaction.get(['said'])
      transaction.put(['mine'], ++runs)
      if (runs <= times) await agent.storage.change(other => other.put(['said'], runs))
      return answer(runs)
    }
  }

describe('an answer of a behaviour that is a message of its own', () => {
  it('is sent once, however often its handler runs', async () => {
    const { ada, answers, shown, end } = await talk(overtaken(3, run => `run ${run}`))
    for (const text of ['one', 'two']) await (await ada.send('machine', text)).processed
    await end()
    expect(answers.map(({ content }) => content)).toEqual(['run 1', 'run 5'])
    // The page is told each time, of the same message: what it wrote before was not kept.
    expect(shown.slice(0, 4)).toEqual(Array(4).fill(answers[0]?.id))
    expect(shown.slice(4)).toEqual([answers[1]?.id])
  })

  it('is sent once where it says that there is none, too', async () => {
    let runs = 0
    const { ada, answers, end } = await talk(agent => async (_message, { transaction }) => {
      await transaction.get(['said'])
      transaction.put(['mine'], ++runs)
      if (runs === 1) await agent.storage.change(other => other.put(['said'], runs))
      throw new CannotAnswer('not today')
    })
    await (await ada.send('machine', 'please')).processed
    await end()
    expect(runs).toBe(2)
    expect(answers.map(({ content }) => content)).toEqual([{ answer: 'not today' }])
  })

  it('is another one for another message, and for another machine that has the same message', async () => {
    const first = await open({ name: 'first' })
    const second = await open({ name: 'second' })
    const ada = await open({ name: 'ada', peers: [...first.addresses, ...second.addresses] })
    const ids = new Set<string>()
    const three = Promise.withResolvers<void>()
    ada.handle(({ id }) => {
      if (ids.add(id).size === 3) three.resolve()
    })
    for (const machine of [first, second]) serve(machine, undefined, ({ content }) => content)
    await ada.send([first.id, second.id], 'to both')
    await ada.send(first.id, 'to one')
    await three.promise
  })

  it('goes once though the machine ended before the end of its message was kept', async () => {
    const identity = await createIdentity()
    const rows = Object.assign(memoryStore(), { close: async () => {} })
    const ada = await open({ name: 'ada' })
    const answers: Message[] = []
    const last = Promise.withResolvers<void>()
    ada.handle(message => {
      if (message.parentId === undefined) last.resolve()
      else answers.push(message)
    })
    const machine = () => open({ name: 'machine', identity, store: rows, peers: ada.addresses })
    const before = await machine()
    const answered = Promise.withResolvers<void>()
    // It has answered, and ends before it is done: as a process that is killed there.
    serve(
      before,
      {
        replied: () => {
          answered.resolve()
          throw new Error('the process ends here')
        },
      },
      () => 'first',
    )
    const receipt = await ada.send(identity.id, 'hello')
    await answered.promise
    await before.close()

    const again = await machine()
    serve(again, undefined, () => 'second')
    await receipt.processed
    await again.send(ada.id, 'that was all')
    await last.promise
    expect(answers.map(({ content }) => content)).toEqual(['first'])
  })

  it('that cannot be sent is the failure of its message, which is not done then', async () => {
    const rows = memoryStore({ maxBytes: 90_000 })
    let fits = false
    const { machine, ada, answers, end } = await talk(() => () => (fits ? 'short' : 'x'.repeat(100_000)), {
      store: rows,
    })
    const failed = new Promise<unknown>(resolve =>
      machine.addEventListener('handler:error', ({ detail }) => resolve(detail.error), { once: true }),
    )
    const receipt = await ada.send('machine', 'hello')
    expect(await failed).toMatchObject({ code: 'STORE_FULL' })
    fits = true
    await receipt.processed
    await end()
    expect(answers.map(({ content }) => content)).toEqual(['short'])
  })
})
