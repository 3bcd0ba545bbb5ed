/** A person in front of the page: chats, and is shown requests to answer by hand. */

import { type Behaviour, CannotAnswer, serve } from './behaviour.ts'

/** See the head of this file. */
export const person: Behaviour = (agent, watch) =>
  serve(agent, watch, async (message, context) => {
    if (!context.expectsReply) return undefined
    if (watch?.ask === undefined) throw new CannotAnswer('Nobody is here to answer')
    return await watch.ask(message, context.signal)
  })
