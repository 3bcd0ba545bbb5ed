/** Two agents in Node that are there before anyone opens a tab, and that already talk to each other. */

import { type Agent, type Clock, createAgent, type Message, systemClock, type Timer } from 'agent-flow-protocol'
import { CannotAnswer, readAnswer, serve, textOf } from './behaviours/behaviour.ts'
import { calculate } from './behaviours/calculator.ts'
import { clock as clockBehaviour } from './behaviours/clock.ts'
import { convertText } from './behaviours/converter.ts'
import { readConversion } from './behaviours/units.ts'
import type { Home } from './keep.ts'

/** The topic on which they talk. */
const LOBBY = 'lobby'

/** How often Tick says the time, ms. */
const INTERVAL = 9_000

/** The most answers in the lobby in one second: a flood of questions is not answered with another. */
const MAX_PER_SECOND = 5

/** Where the residents live. */
export interface ResidentsOptions {
  readonly mesh: string
  readonly relays: readonly string[]
  /** Multiaddrs they listen on; tabs dial WebSockets. */
  readonly listen: readonly string[]
  /** What they are and have from earlier runs; without it they are new ones. */
  readonly tick?: Home | undefined
  readonly abacus?: Home | undefined
  readonly clock?: Clock | undefined
}

/** Starts them; closing says goodbye. */
export async function startResidents(options: ResidentsOptions): Promise<{ close(): Promise<void> }> {
  const { mesh, relays, listen, clock = systemClock } = options
  const common = { mesh, relays, listen }
  const tick = await createAgent({
    ...common,
    ...options.tick,
    name: 'Tick',
    capabilities: ['time'],
    description: 'Tells the time.',
  })
  const abacus = await createAgent({
    ...common,
    ...options.abacus,
    name: 'Abacus',
    capabilities: ['calculate', 'convert/units'],
    description: 'Works out arithmetic and converts units.',
  }).catch(async (error: unknown) => {
    await tick.close()
    throw error
  })
  // Nobody looks after their dead letters: an answer to a visitor who never came back is not kept for ever.
  for (const agent of [tick, abacus]) {
    agent.addEventListener('dead-letter:added', ({ detail }) =>
      agent.deadLetters.discard(detail.letter.id).catch(() => {}),
    )
    // Those that became some while nobody was here.
    agent.deadLetters.purge({ processed: 'any' }).catch(() => {})
  }
  clockBehaviour(tick)
  serve(abacus, undefined, message => work(textOf(message)))
  answerInLobby(abacus, clock)
  tick.subscribe({ topic: LOBBY }, () => {})

  let timer: Timer | undefined
  let closed = false
  const turn = async (): Promise<void> => {
    await talk(tick, clock)
    if (!closed) timer = clock.after(INTERVAL, () => void turn())
  }
  void turn()
  return {
    close: async () => {
      closed = true
      timer?.cancel()
      await Promise.all([tick.close(), abacus.close()])
    },
  }
}

const work = (text: string) => (readConversion(text) === undefined ? calculate(text) : convertText(text))

/** Abacus works out what follows an equals sign: `= 3 * 4`, `how long? = 3600 - 190`. */
function answerInLobby(abacus: Agent, clock: Clock): void {
  let answered: number[] = []
  abacus.subscribe({ topic: LOBBY }, async (message: Message) => {
    const question =
      typeof message.content === 'string' ? /(?:^|\s)= *([^=]{1,200})$/.exec(message.content)?.[1] : undefined
    const now = clock.monotonic()
    answered = answered.filter(time => now - time < 1_000)
    if (question === undefined || answered.length >= MAX_PER_SECOND) return
    answered.push(now)
    try {
      await abacus.publish(LOBBY, work(question), { parentId: message.id })
    } catch (error) {
      if (!(error instanceof CannotAnswer)) throw error
      await abacus.publish(LOBBY, { answer: error.message }, { parentId: message.id })
    }
  })
}

/** Tick puts a sum to the lobby and a question straight to whoever converts units. */
async function talk(tick: Agent, clock: Clock): Promise<void> {
  const now = new Date(clock.now())
  const past = now.getUTCMinutes() * 60 + now.getUTCSeconds()
  const time = now.toISOString().slice(11, 19)
  try {
    await tick.publish(LOBBY, `${time} UTC. Seconds to the full hour = 3600 - ${past}`)
    const reply = await tick.request({ capability: 'convert/units' }, `convert ${3600 - past} s to min`)
    const answer = readAnswer(reply.content)
    if (answer !== undefined) await tick.publish(LOBBY, `${answer.answer}. I asked Abacus that one directly.`)
  } catch {
    // Nobody is there yet, or the agent closes: the next turn tries again.
  }
}
