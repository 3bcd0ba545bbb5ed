/**
 * yamux with the bounds that it has not: on what waits to be read by the other side, see `unread-answers.ts`, and on what
 * the other side has only begun to say, see `begun-input.ts`.
 */

import type { StreamMuxerFactory } from '@libp2p/interface'
import { boundInput } from './begun-input.ts'
import { boundAnswers } from './unread-answers.ts'
import { saveWindowUpdates } from './window-updates.ts'
import type { Yamux } from './yamux.ts'

/** yamux, bounded. */
export const boundMuxer = (yamux: () => StreamMuxerFactory) => (): StreamMuxerFactory => {
  const factory = yamux()
  const create = factory.createStreamMuxer.bind(factory)
  factory.createStreamMuxer = connection => {
    const muxer = create(connection) as Yamux
    boundAnswers(muxer, connection)
    boundInput(muxer)
    saveWindowUpdates(muxer)
    return muxer
  }
  return factory
}
