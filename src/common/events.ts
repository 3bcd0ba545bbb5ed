/** Events whose names and details the compiler knows, over the platform's own `EventTarget`. */

/** A listener for events of one detail type. */
export type Listener<D> = (event: CustomEvent<D>) => void

/**
 * An `EventTarget` with a fixed map of event names to details. Listeners are removed with an `AbortSignal`, as
 * everywhere on the platform: `target.addEventListener('x', fn, { signal })`.
 */
export class TypedEventTarget<Events extends object> {
  readonly #target = new EventTarget()
  /** Types that ever had a listener: of others no event is made. */
  readonly #heard = new Set<string>()

  /** Adds a listener; `options.signal` removes it, `options.once` after the first event. */
  addEventListener<K extends keyof Events & string>(
    type: K,
    listener: Listener<Events[K]>,
    options?: AddEventListenerOptions,
  ): void {
    this.#heard.add(type)
    this.#target.addEventListener(type, listener as EventListener, options)
  }

  /** Removes a listener that was added with the same function. */
  removeEventListener<K extends keyof Events & string>(type: K, listener: Listener<Events[K]>): void {
    this.#target.removeEventListener(type, listener as EventListener)
  }

  /**
   * Calls every listener of `type`, in the order they were added, before it returns. A listener that throws keeps
   * neither the others nor the emitter from going on; the platform reports the error (Node: as an uncaught exception).
   */
  emit<K extends keyof Events & string>(type: K, detail: Events[K]): void {
    if (this.#heard.has(type)) this.#target.dispatchEvent(new CustomEvent(type, { detail }))
  }
}
