/** Drops what comes twice: the ids of the last messages of each sender. Scoped by the proved sender, so that nobody can suppress another's message. */

/** Ids remembered for each sender. */
const IDS = 1_024
/** Senders remembered; the one unheard longest gives way. */
const SENDERS = 256

/** See the head of this file. */
export class DuplicateWindow {
  readonly #bySender = new Map<string, Set<string>>()
  /** Who was heard last. */
  #last = ''

  /** Notes a message; false when it was noted before. */
  note(sender: string, id: string): boolean {
    const ids = this.#bySender.get(sender) ?? new Set<string>()
    if (ids.has(id)) return false
    ids.add(id)
    if (ids.size > IDS) ids.delete(first(ids))
    if (sender === this.#last) return true
    this.#last = sender
    this.#bySender.delete(sender)
    this.#bySender.set(sender, ids)
    if (this.#bySender.size > SENDERS) this.#bySender.delete(first(this.#bySender.keys()))
    return true
  }
}

const first = (items: Iterable<string>): string => {
  for (const item of items) return item
  return ''
}
