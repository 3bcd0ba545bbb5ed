/** Works out arithmetic: `12 * (3 + 4)`, `15% of 80`, `what is sqrt(2)^2?` */

import { type Answer, type Behaviour, CannotAnswer, formatNumber, serve, textOf } from './behaviour.ts'
import { ExpressionError, evaluate } from './expression.ts'

/** An expression without the words that people put around it. */
export const bareExpression = (text: string): string =>
  text
    .trim()
    .replace(/^(?:please +)?(?:calculate|compute|work out|what is|what's|how much is|=)\s*/i, '')
    .replace(/[\s=?.]+$/, '')

/** The answer to a question about arithmetic. @throws CannotAnswer saying what is wrong with it */
export function calculate(text: string): Answer {
  try {
    const answer = formatNumber(evaluate(bareExpression(text)))
    return { answer, value: Number(answer) }
  } catch (error) {
    if (error instanceof ExpressionError) throw new CannotAnswer(error.message, { cause: error })
    throw error
  }
}

/** See the head of this file. */
export const calculator: Behaviour = (agent, watch) => serve(agent, watch, message => calculate(textOf(message)))
