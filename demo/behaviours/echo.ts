/** Says back whatever it is told, of whatever type. */

import { type Behaviour, serve } from './behaviour.ts'

/** See the head of this file. */
export const echo: Behaviour = (agent, watch) => serve(agent, watch, message => message.content)
