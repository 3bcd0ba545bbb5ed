/**
 * Digests: what a peer holds of some feeds, so that another can send what it lacks. A digest may say less than there
 * is, never more: what is sent twice does no harm.
 */

import { isNumber, MAX_RANGES, malformed, type Range, RangeSet, type RangeWire } from './ranges.ts'

/** Feeds that a digest may speak of. */
export const MAX_DIGEST_FEEDS = 256

/** Characters of an author's id. */
const MAX_AUTHOR = 128
const EPOCH = /^[0-9a-f]{32}$/

/** An epoch of an author, and what is held of it. */
export interface Holding {
  /** Agent id. */
  readonly author: string
  /** Id of the epoch, hex. */
  readonly epoch: string
  readonly numbers: RangeSet
}

/** What a peer holds, as arrays for the wire. */
export type Digest = readonly (readonly [author: string, epoch: string, delivered: RangeWire])[]

/** What another peer lacks of an epoch. */
export interface Lack {
  readonly author: string
  readonly epoch: string
  /** Ascending. */
  readonly ranges: readonly Range[]
}

/**
 * The digest of what is held: at most {@link MAX_DIGEST_FEEDS} feeds and {@link MAX_RANGES} ranges in all. What goes
 * beyond is left out, of each feed from the top.
 */
export function makeDigest(holdings: Iterable<Holding>): Digest {
  const digest: (readonly [string, string, RangeWire])[] = []
  let room = MAX_RANGES
  for (const { author, epoch, numbers } of holdings) {
    if (digest.length === MAX_DIGEST_FEEDS) break
    digest.push([author, epoch, numbers.toWire(room)])
    room -= Math.min(room, numbers.count)
  }
  return digest
}

/**
 * Reads a digest that a stranger may have sent.
 * @throws AfpMessageError MALFORMED for another form, a feed named twice, or more than a digest may have
 */
export function readDigest(value: unknown): Holding[] {
  if (!Array.isArray(value) || value.length > MAX_DIGEST_FEEDS) throw malformed('a digest')
  const seen = new Set<string>()
  let room = MAX_RANGES
  return value.map((entry: unknown) => {
    if (!Array.isArray(entry) || entry.length !== 3) throw malformed('a feed of a digest')
    const [author, epoch, delivered] = entry as unknown[]
    if (typeof author !== 'string' || author.length === 0 || author.length > MAX_AUTHOR) {
      throw malformed('the author in a digest')
    }
    if (typeof epoch !== 'string' || !EPOCH.test(epoch)) throw malformed('the epoch in a digest')
    const numbers = RangeSet.fromWire(delivered, { maxRanges: room })
    room -= numbers.count
    const key = keyOf({ author, epoch })
    if (seen.has(key)) throw malformed('a digest that names a feed twice')
    seen.add(key)
    return { author, epoch, numbers }
  })
}

/**
 * What is held here and not there, in the order of what is held here.
 * @param theirs a digest that was read
 * @param limit how many numbers at most
 */
export function missing(theirs: readonly Holding[], held: Iterable<Holding>, limit: number): Lack[] {
  if (!isNumber(limit)) throw malformed('the limit of a replay')
  const known = new Map(theirs.map(holding => [keyOf(holding), holding.numbers]))
  const lacks: Lack[] = []
  let room = limit
  for (const holding of held) {
    if (room === 0) break
    const ranges: Range[] = []
    for (const [first, last] of holding.numbers.minus(known.get(keyOf(holding)) ?? NOTHING)) {
      const end = Math.min(last, first + room - 1)
      ranges.push([first, end])
      room -= end - first + 1
      if (room === 0) break
    }
    if (ranges.length > 0) lacks.push({ author: holding.author, epoch: holding.epoch, ranges })
  }
  return lacks
}

const NOTHING = new RangeSet()

const keyOf = ({ author, epoch }: { readonly author: string; readonly epoch: string }): string => `${epoch} ${author}`
