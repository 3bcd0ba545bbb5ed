/** What becomes frames only as it leaves, so that what leaves together can be one frame. */

/** Makes frames of what leaves together. */
export interface FrameMaker<T> {
  /** The frames of some, in their order, each small enough for everybody: 64 KiB. Asynchronous where a cipher is. */
  make(contents: readonly T[]): Uint8Array[] | Promise<Uint8Array[]>
}

/** What becomes a frame as it leaves, alone or with those beside it that have the same maker. */
export interface FrameToBe<T = unknown> {
  readonly content: T
  readonly maker: FrameMaker<T>
  /** What it takes of a frame, bytes: about, since others may share what there is once in a frame. */
  readonly length: number
}

/** What can be handed to a connection. */
export type AnyFrame = Uint8Array | FrameToBe

/** The frames of what leaves together, in its order. */
export function madeFrames(some: readonly AnyFrame[]): Uint8Array[] | Promise<Uint8Array[]> {
  if (some.every(frame => frame instanceof Uint8Array)) return [...some]
  const parts: (Uint8Array[] | Promise<Uint8Array[]>)[] = []
  for (let at = 0; at < some.length; ) {
    const start = at
    const first = some[at++] as AnyFrame
    if (first instanceof Uint8Array) {
      parts.push([first])
      continue
    }
    while (at < some.length && (some[at] as Partial<FrameToBe>).maker === first.maker) at++
    parts.push(first.maker.make((some.slice(start, at) as FrameToBe[]).map(({ content }) => content)))
  }
  return parts.every(part => Array.isArray(part)) ? parts.flat() : Promise.all(parts).then(made => made.flat())
}
