/** Requests that wait for the person in front of the page. */

import { systemClock } from 'agent-flow-protocol'
import { CannotAnswer } from './behaviours/behaviour.ts'

interface Question {
  readonly resolve: (text: string) => void
  readonly reject: (error: Error) => void
}

/** See the head of this file. */
export class Desk {
  readonly #questions = new Map<number, Question>()

  /** Waits for the answer to a question, until `expiresAt`, ms since 1970, or until the signal fires. */
  ask(key: number, expiresAt: number, signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', onAbort)
        this.#questions.delete(key)
      }
      const question: Question = {
        resolve: text => {
          leave()
          resolve(text)
        },
        reject: error => {
          leave()
          reject(error)
        },
      }
      const onAbort = (): void => question.reject(new CannotAnswer('They have left'))
      const timer = systemClock.after(Math.max(0, expiresAt - systemClock.now()), () =>
        question.reject(new CannotAnswer('They did not answer in time')),
      )
      signal.addEventListener('abort', onAbort, { once: true })
      this.#questions.set(key, question)
    })
  }

  /** Answers a question, or without a text declines to. */
  answer(key: number, text: string | undefined): void {
    const question = this.#questions.get(key)
    if (text === undefined) question?.reject(new CannotAnswer('They would rather not answer'))
    else question?.resolve(text)
  }
}
