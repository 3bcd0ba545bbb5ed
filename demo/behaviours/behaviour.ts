/** What the behaviours share: how they answer, what an answer looks like, and how a page watches them at work. */

import {
  AfpError,
  type Agent,
  type Content,
  type HandlerContext,
  type Json,
  type Message,
  messageIdFrom,
} from 'agent-flow-protocol'

/** Longest text that a behaviour reads, in characters; what is longer is refused. */
export const MAX_TEXT = 500

/** Most steps that one answer tells. */
export const MAX_STEPS = 12

/** One question an orchestrator put to another agent. */
export type Step = {
  /** What was asked. */
  readonly ask: string
  /** The capability it was asked for. */
  readonly capability: string
  /** Name of the agent that answered. */
  readonly by?: string
  readonly answer?: string
  readonly error?: string
  /** How long the answer took, ms. */
  readonly ms?: number
}

/** What behaviours reply with: a text for people and, where there is one, the value for other agents. */
export type Answer = {
  readonly answer: string
  readonly value?: number
  readonly unit?: string
  readonly steps?: readonly Step[]
}

/** Lets a page see what a behaviour receives and answers. Every part is optional. */
export interface Watch {
  received?(message: Message, context: HandlerContext): void
  /** `id` is that of the message that answers, where the answer is no reply to a request. */
  replied?(message: Message, content: Content, context: HandlerContext, id?: string): void
  failed?(message: Message, error: unknown): void
  /** All steps so far, each time one starts or ends. */
  progress?(message: Message, steps: readonly Step[]): void
  /** Puts a request to whoever sits in front of the page; resolves with what they write. */
  ask?(message: Message, signal: AbortSignal): Promise<string>
}

/** Sets an agent up to do something; disposing of the result undoes it. */
export type Behaviour = (agent: Agent, watch?: Watch) => Disposable

/** Computes the reply to a message; nothing when there is nothing to say. */
export type Reply = (message: Message, context: HandlerContext) => Content | undefined | Promise<Content | undefined>

/** Something a behaviour cannot do, in words for the asker. */
export class CannotAnswer extends Error {
  override readonly name = 'CannotAnswer'
}

/**
 * Answers direct messages with `reply`: requests by the reply they wait for, other messages by a message of their own.
 * A message that itself belongs to another one is never answered, or two machines would talk to each other for ever.
 */
export function serve(agent: Agent, watch: Watch | undefined, reply: Reply): Disposable {
  return agent.handle(async (message, context) => {
    watch?.received?.(message, context)
    if (!context.expectsReply && isAside(message)) return undefined
    const answer = async (content: Content): Promise<void> => {
      const id = context.expectsReply ? undefined : await respondOnce(agent, message, content, context)
      watch?.replied?.(message, content, context, id)
    }
    try {
      const content = await reply(message, context)
      if (content !== undefined) await answer(content)
      return content
    } catch (error) {
      watch?.failed?.(message, error)
      // A message whose answer could not be sent is not done: it is handled again, or a dead letter.
      if (context.expectsReply || !(error instanceof CannotAnswer)) throw error
      await answer({ answer: error.message })
      return undefined
    }
  })
}

/**
 * Answers by a message of its own, whose id says what it answers: a handler that runs again, after a crash or because it
 * was overtaken, answers no second time. Resolves with the id.
 */
async function respondOnce(
  agent: Agent,
  message: Message,
  content: Content,
  { idempotencyKey }: HandlerContext,
): Promise<string> {
  // With its own id: others that had the same message answer it too.
  const id = messageIdFrom(`${agent.id} answers ${idempotencyKey}`)
  await agent.respond(message, content, { id }).catch((error: unknown) => {
    if (!(error instanceof AfpError && error.code === 'DUPLICATE_MESSAGE')) throw error
  })
  return id
}

/** Whether a message belongs to another one: an answer, or word of progress. */
export const isAside = (message: Message): boolean =>
  message.parentId !== undefined || message.metadata.progressOf !== undefined

/** The text of a message that a behaviour should read. @throws CannotAnswer when it is no text or too long */
export function textOf(message: Message): string {
  if (typeof message.content !== 'string') throw new CannotAnswer('I read plain text only')
  const text = message.content.trim()
  if (text.length > MAX_TEXT) throw new CannotAnswer(`I read at most ${MAX_TEXT} characters`)
  if (text === '') throw new CannotAnswer('There is nothing to read')
  return text
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)

const clip = (value: unknown, length = 2_000): string | undefined =>
  typeof value === 'string' ? value.slice(0, length).toWellFormed() : undefined

const finite = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined

function readStep(value: unknown): Step | undefined {
  if (!isRecord(value)) return undefined
  const ask = clip(value.ask)
  const capability = clip(value.capability, 64)
  if (ask === undefined || capability === undefined) return undefined
  const [by, answer, error, ms] = [clip(value.by, 64), clip(value.answer), clip(value.error), finite(value.ms)]
  return {
    ask,
    capability,
    ...(by === undefined ? {} : { by }),
    ...(answer === undefined ? {} : { answer }),
    ...(error === undefined ? {} : { error }),
    ...(ms === undefined ? {} : { ms }),
  }
}

/** The steps in what a stranger sent, bounded; those that make no sense are left out. */
export function readSteps(value: unknown): readonly Step[] {
  if (!Array.isArray(value)) return []
  return value
    .slice(0, MAX_STEPS)
    .map(readStep)
    .filter(step => step !== undefined)
}

/** The answer in what a stranger sent, bounded, or undefined when it is none. */
export function readAnswer(content: Content | undefined): Answer | undefined {
  if (!isRecord(content)) return undefined
  const answer = clip(content.answer)
  if (answer === undefined) return undefined
  const [value, unit, steps] = [finite(content.value), clip(content.unit, 16), readSteps(content.steps)]
  return {
    answer,
    ...(value === undefined ? {} : { value }),
    ...(unit === undefined ? {} : { unit }),
    ...(steps.length === 0 ? {} : { steps }),
  }
}

/** Steps as content; the compiler cannot see that optional fields left out are JSON. */
export const stepsToJson = (steps: readonly Step[]): Json => steps as unknown as Json

/** A number for people: twelve significant digits, no trailing zeros. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value)
  const rounded = Number(value.toPrecision(12))
  return String(Object.is(rounded, -0) ? 0 : rounded)
}
