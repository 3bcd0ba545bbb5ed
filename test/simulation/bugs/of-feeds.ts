/** Mistakes in numbers, ranges and order, at either end of an epoch. */

import type { Bug } from './plant.ts'

const author = 'src/feed/author-feed.ts'
const reader = 'src/feed/reader-feed.ts'
const epochs = 'src/feed/epochs.ts'
const order = 'src/feed/order.ts'
const ranges = 'src/feed/ranges.ts'

/** See the head of this file. */
export const FEED_BUGS: readonly Bug[] = [
  {
    name: 'ranges-merged-across-a-hole',
    breaks: 'Two ranges with one number missing between them become one: nobody misses that number.',
    file: ranges,
    find: 'end !== undefined && first <= end + 1',
    put: 'end !== undefined && first <= end + 2',
  },
  {
    name: 'floor-swallows-a-hole',
    breaks: 'A range that begins one number too late still raises the floor, and takes the number before it in.',
    file: ranges,
    find: 'if (first <= this.#floor + 1) return this.raiseFloor(last)',
    put: 'if (first <= this.#floor + 2) return this.raiseFloor(last)',
  },
  {
    name: 'range-told-too-long',
    breaks: 'What is told of a set has one number too many in each range: an acknowledgement of what is not there.',
    file: ranges,
    find: '[first - end - 1, last - first + 1]',
    put: '[first - end - 1, last - first + 2]',
  },
  {
    name: 'first-missing-number-overlooked',
    breaks: 'The number right above the floor is never among the missing ones: what has no row is not skipped.',
    file: ranges,
    find: 'Math.max(from, this.#floor + 1)',
    put: 'Math.max(from, this.#floor + 2)',
  },
  {
    name: 'order-by-arrival',
    breaks: 'What arrives is handed on at once, whatever comes before it in its class.',
    file: reader,
    find: 'if (order.blocker(prev) > 0) {',
    put: 'if (order.blocker(0) > 0) {',
  },
  {
    name: 'skipped-hides-what-is-before',
    breaks: 'Behind a number that never comes nothing is waited for any more, though lower ones are missing.',
    file: order,
    find: 'return this.#known.gapBelow(prev)',
    put: 'return 0',
  },
  {
    name: 'hole-given-up-at-once',
    breaks: 'Order waits for what is missing no longer than a moment, though its author says that it is there.',
    file: 'src/delivery/patience.ts',
    find: 'HOLE_PATIENCE = 30_000',
    put: 'HOLE_PATIENCE = 30',
  },
  {
    name: 'classes-mixed-up',
    breaks: 'The last number of a class is noted for the lowest class: others do not know what comes before them.',
    file: author,
    find: 'this.#tails[priority] = number',
    put: 'this.#tails[0] = number',
  },
  {
    name: 'number-counted-back',
    breaks: 'A number that was given up last is given out again: its nonce seals two messages.',
    file: author,
    find: '  #closed = false\n',
    put: '  #closed = false\n  #before = 0\n',
    also: [
      {
        file: author,
        find: 'this.#tails[priority] = number',
        put: 'this.#before = prev; this.#tails[priority] = number',
      },
      {
        file: author,
        find: 'this.#skips.add(number)',
        put: `if (number < this.#last || this.#closed) this.#skips.add(number)
    else {
      this.#tails = this.#tails.map(tail => (tail === number ? this.#before : tail))
      this.#last--
    }`,
      },
      { file: author, find: 'readonly #tails: number[]', put: '#tails: number[]' },
    ],
  },
  {
    name: 'number-given-out-twice',
    breaks: 'The count goes up only after the turn in which a number was asked for: two that ask together get one.',
    file: author,
    find: 'const number = ++this.#last',
    put: 'const number = this.#last + 1\n    queueMicrotask(() => { this.#last = Math.max(this.#last, number) })',
  },
  {
    name: 'epoch-reopened-after-restart',
    breaks: 'An epoch of an earlier run takes messages again: numbers whose rows are gone are given out anew.',
    file: author,
    find: 'feed.#closed = true',
    put: 'feed.#closed = false',
    also: [
      {
        file: 'src/delivery/own-epochs.ts',
        find: 'for (const epoch of sorted.values()) this.#add(epoch)',
        put: 'for (const epoch of sorted.values()) this.begin(epoch)',
      },
      {
        file: 'src/delivery/own-epochs.ts',
        find: 'return shown === undefined || toHex(shown.id)',
        put: 'return shown === undefined || epoch.prekey === undefined || toHex(shown.id)',
      },
    ],
  },
  {
    name: 'base-ahead-of-the-disk',
    breaks: 'The base passes ends that are not on the disk yet: the recipient forgets what a crash makes unknown here.',
    file: author,
    find: 'this.#uncommitted.add(held)',
    put: 'this.#uncommitted.delete(held)',
  },
  {
    name: 'skip-of-what-is-there',
    breaks: 'A reader takes a skip of what it has delivered for one of what never comes.',
    file: reader,
    find: 'skips.minus(this.#delivered).minus(this.#skipped)',
    put: 'skips.minus(this.#skipped)',
  },
  {
    name: 'skip-of-what-is-under-way',
    breaks: 'A skip counts although the envelope is on its way to the disk: the author is told both.',
    file: reader,
    find: '.minus(this.#skipped).minus(RangeSet.ofNumbers(this.#underway))',
    put: '.minus(this.#skipped)',
  },
  {
    name: 'skip-told-before-it-is-kept',
    breaks: 'A skip is confirmed before it is on the disk: after a crash an old copy is taken all the same.',
    file: 'src/delivery/incoming.ts',
    find: 'if (this.#epochs.feed(epoch)?.untouched) this.#epochs.snapshot(epoch)?.committed()',
    put: `this.#epochs.snapshot(epoch)?.committed()
      this.#parts.answers.ack(epoch)`,
  },
  {
    name: 'refusal-told-before-it-is-kept',
    breaks: 'A refusal is told before it is on the disk: after a crash the handler may succeed.',
    file: reader,
    find: 'refused: this.#refused.told()',
    put: 'refused: this.#refused.all()',
  },
  {
    name: 'settled-check-left-out',
    breaks: 'What is delivered above the base is not known when it comes again: it is written a second time.',
    file: reader,
    find: 'if (number <= this.#base || this.#delivered.has(number)) return',
    put: 'if (number <= this.#base) return',
  },
  {
    name: 'settled-epoch-forgotten',
    breaks:
      'What is left of an epoch that is over is not kept in mind: its opening and all that was in it are new again.',
    file: epochs,
    find: 'this.#settled.add(entry)\n      settled.push(entry)',
    put: 'settled.push(entry)',
  },
  {
    name: 'processed-forgotten-at-restart',
    breaks: 'After a restart nobody is told any more what was processed before it.',
    file: reader,
    find: 'this.#processed = this.#delivered.minus(pending).minus(RangeSet.ofNumbers(refused.map(([number]) => number)))',
    put: 'this.#processed = new RangeSet()',
  },
  {
    name: 'later-epoch-not-held',
    breaks: 'What comes in a later epoch is handed on before what is left of the earlier ones.',
    file: epochs,
    find: 'const held = awaits.size > 0 || isBehind(epoch, { earlier: before, order }, this.#kept)',
    put: 'const held = false',
  },
]
