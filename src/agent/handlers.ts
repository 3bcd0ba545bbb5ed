/** Handlers of direct messages: which one takes a message, and what it may do. */

import { type CompiledFilter, type CompileOptions, compileFilter, type Filter } from '../message/filter.ts'
import type { Content, Message } from '../message/message.ts'
import type { Limits } from '../message/validate.ts'
import { checkCall } from './option-checks.ts'
import type { Handler, ReplyOptions } from './options.ts'

/** A reply with options; see {@link reply}. */
export class Reply {
  readonly content: Content
  readonly options: ReplyOptions

  /** @throws AfpError INVALID_OPTION */
  constructor(content: Content, options: ReplyOptions) {
    checkCall('reply', options)
    this.content = content
    this.options = options
  }
}

/**
 * What a handler returns for a reply with options.
 *
 * @example
 * ```ts
 * import { createAgent, reply } from 'agent-flow-protocol'
 *
 * const agent = await createAgent({ name: 'ada', mesh: 'demo' })
 * agent.handle(() => reply('<p>hello</p>', { contentType: 'text/html' }))
 * await agent.close()
 * ```
 *
 * @throws AfpError INVALID_OPTION for an option that there is not, such as an `id` of its own, or of another type
 */
export const reply = (content: Content, options: ReplyOptions = {}): Reply => new Reply(content, options)

interface Entry {
  readonly filter: CompiledFilter
  readonly handler: Handler
  /** Settles when the filter may be asked; undefined once it may. */
  loading: Promise<void> | undefined
}

/** The handlers of one agent, in the order they were added. */
export class Handlers {
  readonly #options: CompileOptions
  readonly #onError: (error: unknown, message?: Message) => void
  #entries: readonly Entry[] = []

  /** @param onError - told when a filter's predicate throws, which counts as no match, or its pattern cannot be compiled */
  constructor(
    limits: Limits,
    senders: CompileOptions['senders'],
    onError: (error: unknown, message?: Message) => void,
  ) {
    this.#options = { limits, senders, onError }
    this.#onError = onError
  }

  add(filter: Filter, handler: Handler): Disposable {
    const compiled = compileFilter(filter, this.#options)
    const entry: Entry = { filter: compiled, handler, loading: undefined }
    entry.loading = compiled.ready?.then(
      () => {
        entry.loading = undefined
      },
      error => {
        this.#remove(entry)
        this.#onError(error)
      },
    )
    this.#entries = [...this.#entries, entry]
    return { [Symbol.dispose]: () => this.#remove(entry) }
  }

  /** The first handler that matches. A promise only while the engine of a filter's patterns is being loaded. */
  find(message: Message): Handler | undefined | Promise<Handler | undefined> {
    for (const { filter, handler, loading } of this.#entries) {
      if (loading !== undefined) return loading.then(() => this.find(message))
      if (filter.matches(message)) return handler
    }
    return undefined
  }

  clear(): void {
    this.#entries = []
  }

  #remove(entry: Entry): void {
    this.#entries = this.#entries.filter(other => other !== entry)
  }
}
