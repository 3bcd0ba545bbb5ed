/**
 * Does nothing itself: takes a sentence apart, finds for each part an agent that has the capability, asks it, and puts
 * the answers together. It tells its asker of every step while it goes.
 */

import { AfpError, type Agent, type Message, systemClock } from 'agent-flow-protocol'
import {
  type Answer,
  type Behaviour,
  CannotAnswer,
  readAnswer,
  type Step,
  serve,
  stepsToJson,
  textOf,
} from './behaviour.ts'
import { makePlan, type Plan, PlanError, type Result, type Task } from './plan.ts'

/** How long one agent has to answer, ms. */
const STEP_TIMEOUT = 4_000

/** Why a step failed, in words. */
function reason(error: unknown, capability: string): string {
  if (error instanceof PlanError) return error.message
  if (error instanceof AfpError && error.code === 'NO_CAPABLE_AGENT') return `nobody here can do “${capability}”`
  if (error instanceof AfpError && error.code === 'TIMEOUT') return 'no answer in time'
  return error instanceof Error ? error.message : 'it failed'
}

/** A name for people, of an agent known by its id. */
const nameOf = (agent: Agent, id: string): string =>
  agent.peers().find(peer => peer.card.id === id)?.card.name ?? id.slice(-6)

/** Runs a plan against the mesh; `onSteps` sees all steps each time one starts or ends. */
export async function runPlan(
  agent: Agent,
  plan: Plan,
  onSteps: (steps: readonly Step[]) => void,
  signal?: AbortSignal,
): Promise<Answer> {
  const steps: Step[] = []
  const record = (at: number, step: Step): void => {
    steps[at] = step
    onSteps([...steps])
  }

  const runTask = async (task: Task, before: Result, at: number): Promise<Answer> => {
    const { capability } = task
    const started = systemClock.monotonic()
    let step: Step = { ask: '…', capability }
    try {
      step = { ask: task.ask(before), capability }
      record(at, step)
      const reply: Message = await agent.request({ capability }, step.ask, { timeout: STEP_TIMEOUT, signal })
      const answer = readAnswer(reply.content) ?? { answer: String(reply.content).slice(0, 500) }
      const ms = Math.round(systemClock.monotonic() - started)
      record(at, { ...step, by: nameOf(agent, reply.sender), answer: answer.answer, ms })
      return answer
    } catch (error) {
      record(at, { ...step, error: reason(error, capability) })
      throw new CannotAnswer(`“${step.ask}”: ${reason(error, capability)}`, { cause: error })
    }
  }

  const runChain = async (chain: readonly Task[], first: number): Promise<Answer> => {
    let last: Answer = { answer: '' }
    for (const [index, task] of chain.entries()) last = carryUnit(last, await runTask(task, last, first + index))
    return last
  }

  let first = 0
  const chains = plan.map(chain => {
    const start = first
    first += chain.length
    return runChain(chain, start).catch((error: unknown): Answer => {
      if (error instanceof CannotAnswer) return { answer: error.message }
      throw error
    })
  })
  const answers = await Promise.all(chains)
  const last = answers.length === 1 ? answers[0] : undefined
  return {
    answer: answers.map(answer => answer.answer).join(' · '),
    ...(last?.value === undefined ? {} : { value: last.value }),
    ...(last?.unit === undefined ? {} : { unit: last.unit }),
    steps,
  }
}

/** A sum of miles is miles: a plain number keeps the unit of what it was made from. */
function carryUnit(before: Answer, after: Answer): Answer {
  if (before.unit === undefined || after.unit !== undefined || after.value === undefined) return after
  return { ...after, unit: before.unit, answer: `${after.answer} ${before.unit}` }
}

/** See the head of this file. */
export const orchestrator: Behaviour = (agent, watch) =>
  serve(agent, watch, async (message, context) => {
    let plan: Plan
    try {
      plan = makePlan(textOf(message))
    } catch (error) {
      if (error instanceof PlanError) throw new CannotAnswer(error.message, { cause: error })
      throw error
    }
    const tell = (steps: readonly Step[]): void => {
      watch?.progress?.(message, steps)
      // Word of progress is a courtesy: whoever cannot be told still gets the answer.
      agent
        .send(
          message.sender,
          { steps: stepsToJson(steps) },
          { metadata: { progressOf: message.id }, guarantee: 'at-most-once' },
        )
        .catch(() => {})
    }
    return await runPlan(agent, plan, tell, context.signal).then(answer => ({
      ...answer,
      steps: stepsToJson(answer.steps ?? []),
    }))
  })
