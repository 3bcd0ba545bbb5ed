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

/** What came of some that were side by side: their frames, or why there are none. */
export interface Made {
  /** How many they were. */
  readonly count: number
  readonly frames: readonly Uint8Array[]
  /** Those of another maker leave all the same. */
  readonly failed?: { readonly reason: unknown }
}

/** The frames of what leaves together, in its order. Neither throws nor rejects. */
export function madeFrames(some: readonly AnyFrame[]): Made[] | Promise<Made[]> {
  if (some.every(frame => frame instanceof Uint8Array)) return [{ count: some.length, frames: some }]
  const parts: (Made | Promise<Made>)[] = []
  for (let at = 0; at < some.length; ) {
    const start = at
    const first = some[at++] as AnyFrame
    if (first instanceof Uint8Array) {
      parts.push({ count: 1, frames: [first] })
      continue
    }
    while (at < some.length && (some[at] as Partial<FrameToBe>).maker === first.maker) at++
    parts.push(madeBy(first.maker, some.slice(start, at) as FrameToBe[]))
  }
  return parts.some(part => part instanceof Promise) ? Promise.all(parts) : (parts as Made[])
}

function madeBy(maker: FrameMaker<unknown>, some: readonly FrameToBe[]): Made | Promise<Made> {
  const count = some.length
  const failed = (reason: unknown): Made => ({ count, frames: [], failed: { reason } })
  try {
    const made = maker.make(some.map(({ content }) => content))
    return Array.isArray(made) ? { count, frames: made } : made.then(frames => ({ count, frames }), failed)
  } catch (error) {
    return failed(error)
  }
}
