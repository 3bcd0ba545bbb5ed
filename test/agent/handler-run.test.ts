/** What one run of a handler leaves behind. */

import { expect, test } from 'vitest'
import { runHandler } from '../../src/agent/handler-run.ts'
import type { Handler, HandlerContext } from '../../src/agent/options.ts'
import { DrivenClock } from '../../src/common/driven-clock.ts'
import type { Message } from '../../src/message/message.ts'

/** A signal, and those who listen to it. */
function listenedTo(): { signal: AbortSignal; listeners: Set<unknown> } {
  const { signal } = new AbortController()
  const listeners = new Set<unknown>()
  const add = signal.addEventListener.bind(signal)
  const remove = signal.removeEventListener.bind(signal)
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners.add(args[1])
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners.delete(args[1])
    remove(...args)
  }
  return { signal, listeners }
}

test.each([
  ['during the run', true],
  ['only when it is over', false],
])('Nobody listens to the signal of the agent any more where a handler looks at its own %s', async (_, during) => {
  const { signal, listeners } = listenedTo()
  const most: number[] = []
  let late: HandlerContext | undefined
  const handler: Handler = (_, context) => {
    late = context
    if (during) expect(context.signal.aborted).toBe(false)
    most.push(listeners.size)
  }
  await runHandler({ clock: new DrivenClock(), handlerTimeout: 1_000, signal }, handler, {} as Message, {} as never)
  expect(late?.signal.aborted).toBe(false)
  expect(most).toEqual([during ? 1 : 0])
  expect(listeners.size).toBe(0)
})
