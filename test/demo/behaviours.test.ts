import { type Agent, createAgent, type Message } from 'agent-flow-protocol'
import { afterEach, describe, expect, it } from 'vitest'
import { type Behaviour, readAnswer, type Step, type Watch } from '../../demo/behaviours/behaviour.ts'
import { calculator } from '../../demo/behaviours/calculator.ts'
import { clock, tellTime } from '../../demo/behaviours/clock.ts'
import { converter } from '../../demo/behaviours/converter.ts'
import { echo } from '../../demo/behaviours/echo.ts'
import { orchestrator } from '../../demo/behaviours/orchestrator.ts'
import { person } from '../../demo/behaviours/person.ts'

const agents: Agent[] = []
afterEach(async () => {
  await Promise.all(agents.splice(0).map(agent => agent.close()))
})

/** A real agent with a behaviour, connected to `others`. */
async function start(
  name: string,
  others: Agent[],
  capability?: string,
  behaviour?: Behaviour,
  watch?: Watch,
): Promise<Agent> {
  const agent = await createAgent({
    name,
    mesh: 'test',
    listen: ['/ip4/127.0.0.1/tcp/0'],
    capabilities: capability === undefined ? [] : [capability],
  })
  agents.push(agent)
  behaviour?.(agent, watch)
  for (const other of others) await agent.connect(other.addresses[0] as string)
  return agent
}

const answerOf = async (reply: Promise<Message>) => readAnswer((await reply).content)

describe('the behaviours of the demo, on real agents', () => {
  it('answer requests: the calculator with a value, the converter with a unit, the clock with a time, the echo with the same', async () => {
    const machines = [
      await start('abacus', [], 'calculate', calculator),
      await start('caliper', [], 'convert/units', converter),
      await start('tick', [], 'time', clock),
      await start('canyon', [], 'echo', echo),
    ]
    const ada = await start('ada', machines)
    expect(await answerOf(ada.request('abacus', 'what is 15% of 80?'))).toEqual({ answer: '12', value: 12 })
    expect(await answerOf(ada.request('caliper', '5 km in mi'))).toEqual({
      answer: '3.106856 mi',
      value: 3.106856,
      unit: 'mi',
    })
    expect((await answerOf(ada.request('tick', 'time in Tokyo')))?.answer).toMatch(/^\d\d:\d\d:\d\d in Asia\/Tokyo, /)
    expect((await ada.request('canyon', { deep: [1, 'two'] })).content).toEqual({ deep: [1, 'two'] })
    await expect(ada.request('abacus', '1 / 0')).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      message: expect.stringContaining('divided by zero'),
    })
    await expect(ada.request('abacus', [1])).rejects.toMatchObject({
      message: expect.stringContaining('plain text only'),
    })
  })

  it('answer a plain message by a message, and never answer an answer, so that two echoes fall silent', async () => {
    const heard: string[] = []
    const silence = Promise.withResolvers<void>()
    const watch = (name: string): Watch => ({
      received: message => {
        heard.push(`${name} heard ${String(message.content)}`)
        if (heard.length === 3) silence.resolve()
      },
    })
    const one = await start('one', [], 'echo', echo, watch('one'))
    const two = await start('two', [one], 'echo', echo, watch('two'))
    await two.send('one', 'hello')
    // A request of its own, sent after the answer came, has its reply only when all before it is settled.
    await expect.poll(() => heard).toContain('two heard hello')
    expect((await two.request('one', 'still there?')).content).toBe('still there?')
    await silence.promise
    expect(heard).toEqual(['one heard hello', 'two heard hello', 'one heard still there?'])
  })

  it('put a request to the person in front of the page and reply with what they write', async () => {
    const grace = await start('grace', [], 'chat', person, {
      ask: async message => `you asked: ${String(message.content)}`,
    })
    const nobody = await start('nobody', [], 'chat', person)
    const ada = await start('ada', [grace, nobody])
    expect((await ada.request('grace', 'ready?')).content).toBe('you asked: ready?')
    await expect(ada.request('nobody', 'ready?')).rejects.toMatchObject({
      message: expect.stringContaining('Nobody is here'),
    })
  })
})

describe('the orchestrator, on real agents', () => {
  it('asks by capability, hands each result on, and tells its asker of every step', async () => {
    const machines = [
      await start('abacus', [], 'calculate', calculator),
      await start('caliper', [], 'convert/units', converter),
    ]
    const maestro = await start('maestro', machines, 'orchestrate', orchestrator)
    const told: Step[][] = []
    const ada = await start('ada', [], undefined, (agent: Agent) =>
      agent.handle(message => {
        expect(message.metadata.progressOf).toBe(id)
        told.push((message.content as { steps: Step[] }).steps)
      }),
    )
    await ada.connect(maestro.addresses[0] as string)
    const id = crypto.randomUUID()
    const answer = await answerOf(
      ada.request({ capability: 'orchestrate' }, 'convert 5 km to miles then add 3', { id }),
    )
    expect(answer).toMatchObject({
      answer: '6.106856 mi',
      value: 6.106856,
      unit: 'mi',
      steps: [
        { ask: 'convert 5 km to miles', capability: 'convert/units', by: 'caliper', answer: '3.106856 mi' },
        { ask: '3.106856 + 3', capability: 'calculate', by: 'abacus', answer: '6.106856' },
      ],
    })
    expect(told.length).toBeGreaterThanOrEqual(4)
    expect(told[0]).toEqual([{ ask: 'convert 5 km to miles', capability: 'convert/units' }])
  })

  it('says which part failed and answers the rest', async () => {
    const abacus = await start('abacus', [], 'calculate', calculator)
    const maestro = await start('maestro', [abacus], 'orchestrate', orchestrator)
    const ada = await start('ada', [maestro])
    const answer = await answerOf(ada.request('maestro', '2 + 2 and what time is it'))
    expect(answer?.answer).toBe('4 · “what time is it”: nobody here can do “time”')
    expect(answer?.steps?.[1]).toMatchObject({ capability: 'time', error: 'nobody here can do “time”' })
    await expect(ada.request('maestro', 'sing')).rejects.toMatchObject({
      message: expect.stringContaining('whom to ask about “sing”'),
    })
  })
})

describe('the clock', () => {
  it('tells the time of a zone, or of a city by its name, and knows what it does not know', () => {
    const now = Date.UTC(2026, 10, 21, 14, 3, 10)
    expect(tellTime('what time is it', now).answer).toBe('14:03:10 in UTC, Saturday 21 November 2026')
    expect(tellTime('time in Europe/Berlin?', now).answer).toMatch(/^15:03:10 in Europe\/Berlin/)
    expect(tellTime('time in tokyo', now).answer).toMatch(/^23:03:10 in Asia\/Tokyo/)
    expect(() => tellTime('time in Atlantis', now)).toThrow('“Atlantis”')
  })
})

describe('an answer from a stranger', () => {
  it('is read within bounds, and what is no answer is none', () => {
    expect(readAnswer('text')).toBeUndefined()
    expect(readAnswer({ answer: 5 })).toBeUndefined()
    expect(readAnswer({ answer: 'a', value: 'b', unit: 1, steps: 'c' })).toEqual({ answer: 'a' })
    const steps = Array.from({ length: 500 }, () => ({ ask: 'x'.repeat(9_999), capability: 'c', ms: 'soon', extra: 1 }))
    const read = readAnswer({ answer: 'y'.repeat(9_999), steps: [null, 7, { ask: 'no capability' }, ...steps] })
    expect(read?.answer.length).toBe(2_000)
    expect(read?.steps?.length).toBeLessThanOrEqual(12)
    expect(read?.steps?.[0]).toEqual({ ask: 'x'.repeat(2_000), capability: 'c' })
  })
})
