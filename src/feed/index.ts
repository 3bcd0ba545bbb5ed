/**
 * Feeds: single-writer, numbered sequences of envelopes, as pure state machines. The author's end gives out numbers and
 * learns what became of each; the reader's end takes each once, keeps order, and names what is missing.
 *
 * ```
 * ranges       sets of numbers as a floor and ranges
 * wire         what the ends tell each other: states and acknowledgements
 * author-feed  one epoch at its author
 * reader-feed  one epoch at its reader; order, refusals, snapshot and fingerprints are parts of it
 * epochs       all epochs of an author at its reader; kept-epoch is one among them, settled those that are over, epochs-news
 *              what they tell of what came
 * digest       what a peer holds, and what another lacks
 * ```
 */

export { type AckNews, AuthorFeed, type AuthorRemains, statesOf } from './author-feed.ts'
export { type Digest, type Holding, type Lack, MAX_DIGEST_FEEDS, makeDigest, missing, readDigest } from './digest.ts'
export {
  type EpochAccepted,
  Epochs,
  type EpochsNews,
  type Handed,
  MAX_EARLIER,
  MAX_KEPT,
  MAX_LISTED,
  MAX_OPEN,
} from './epochs.ts'
export { isNumber, MAX_NUMBER, MAX_RANGES, numbersIn, type Range, RangeSet, type RangeWire } from './ranges.ts'
export { MAX_BUFFERED, ReaderFeed, type Verdict } from './reader-feed.ts'
export { KEEP_SETTLED, MAX_SETTLED, type SettledEpoch } from './settled.ts'
export type { Snapshot } from './snapshot.ts'
export {
  ackBytes,
  CLASSES,
  type FeedAck,
  type FeedState,
  MAX_ACK_RANGES,
  MAX_REFUSED,
  MAX_WORDS_BYTES,
  type Position,
} from './wire.ts'
