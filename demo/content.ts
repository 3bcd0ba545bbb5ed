/** What of a message's content is shown: text only, bounded, whatever a stranger sent. */

import type { Content } from 'agent-flow-protocol'
import { type Answer, readAnswer } from './behaviours/behaviour.ts'

/** Content as the page shows it. */
export type Shown =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'data'; readonly text: string }

/** Longest text shown of one message, in characters. */
const MAX_SHOWN = 4_000

/**
 * Control characters and those that only steer layout, with which a text could pretend to be something else. Line ends
 * and tabs stay, and the joiner that emoji are made with.
 */
const unprintable = /(?![\n\t\u{200d}])[\p{Cc}\p{Cf}]/gu

const clean = (text: string): string => {
  const plain = text.slice(0, MAX_SHOWN).toWellFormed().replaceAll(unprintable, '')
  return text.length > MAX_SHOWN ? `${plain}…` : plain
}

/** See the head of this file. */
export function show(content: Content | undefined, contentType = ''): Shown {
  if (typeof content === 'string') return { kind: 'text', text: clean(content) }
  if (content instanceof Uint8Array) return { kind: 'data', text: `${contentType}, ${content.length} bytes` }
  const answer = readAnswer(content)
  if (answer !== undefined) return { kind: 'answer', answer: { ...answer, answer: clean(answer.answer) } }
  return { kind: 'data', text: clean(JSON.stringify(content ?? null, undefined, 2)) }
}

/** One line of it, for previews and announcements. */
export function summary(shown: Shown): string {
  const text = shown.kind === 'answer' ? shown.answer.answer : shown.text
  return text.replaceAll(/\s+/g, ' ').slice(0, 120)
}
