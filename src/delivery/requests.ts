/** Requests that wait for their one reply. */

import type { Clock } from '../common/clock.ts'
import { AfpError, AfpTimeoutError } from '../common/errors.ts'
import type { Message } from '../message/message.ts'

/** A reply as it came. */
export interface Reply {
  readonly message: Message
  /** The other side says that it failed; the content tells why. */
  readonly failed: boolean
}

interface Pending {
  /** Only this agent's reply counts. */
  readonly from: string
  readonly finish: (outcome: { reply: Reply } | { error: unknown }) => void
}

/** See the head of this file. */
export class Requests {
  readonly #clock: Clock
  readonly #pending = new Map<string, Pending>()
  #closed: { readonly error: unknown } | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Requests that wait now. */
  get size(): number {
    return this.#pending.size
  }

  /**
   * Waits for the reply to message `id` from agent `from`, for `timeout` ms of which `elapsed` are over already.
   * @throws AfpError DUPLICATE_MESSAGE, at once, when a request with this id waits already
   * @throws AfpTimeoutError
   */
  wait(id: string, from: string, timeout: number, elapsed: number, signal?: AbortSignal): Promise<Reply> {
    if (this.#closed !== undefined) throw this.#closed.error
    if (this.#pending.has(id)) throw new AfpError('DUPLICATE_MESSAGE', `a request with the id ${id} waits`)
    return new Promise((resolve, reject) => {
      const onAbort = (): void => finish({ error: signal?.reason })
      const finish: Pending['finish'] = outcome => {
        if (!this.#pending.delete(id)) return
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
        if ('reply' in outcome) resolve(outcome.reply)
        else reject(outcome.error)
      }
      const timer = this.#clock.after(timeout - elapsed, () => {
        const seconds = timeout / 1000
        const error = new AfpTimeoutError(`no reply to ${id} within ${seconds} s`, {
          messageId: id,
          timeoutSeconds: seconds,
        })
        finish({ error })
      })
      this.#pending.set(id, { from, finish })
      if (signal?.aborted) onAbort()
      else signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Gives up waiting. */
  cancel(id: string, error: unknown): void {
    this.#pending.get(id)?.finish({ error })
  }

  /** Takes a reply; false when nobody waits for it, or not from this agent: a second one, a late one, a forged one. */
  settle(reply: Reply): boolean {
    const pending = this.#pending.get(reply.message.parentId as string)
    if (pending === undefined || pending.from !== reply.message.sender) return false
    pending.finish({ reply })
    return true
  }

  /** Ends every wait, also of those that come later. */
  close(error: unknown): void {
    this.#closed = { error }
    for (const pending of [...this.#pending.values()]) pending.finish({ error })
  }
}
