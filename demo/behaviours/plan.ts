/** Turns a sentence into questions for other agents: pure, no agent in sight. */

import { formatNumber } from './behaviour.ts'
import { bareExpression } from './calculator.ts'
import { evaluate, NoValueError } from './expression.ts'
import { findUnit, readConversion } from './units.ts'

/** Most tasks that one sentence may hold. */
export const MAX_TASKS = 8

/** What a task leaves for the next one in its chain. */
export interface Result {
  readonly value?: number | undefined
  readonly unit?: string | undefined
}

/** A question for whoever has `capability`; `ask` words it, given the result before it. */
export interface Task {
  readonly capability: string
  readonly ask: (before: Result) => string
  /** Whether it needs the result before it. */
  readonly follows: boolean
}

/** Tasks of one chain run one after the other; chains run side by side. */
export type Plan = readonly (readonly Task[])[]

/** What the orchestrator cannot make sense of. */
export class PlanError extends Error {
  override readonly name = 'PlanError'
}

const operations: readonly [RegExp, (value: string, number: string) => string][] = [
  [/^(?:add|plus|\+) ?(.+)$/i, (value, number) => `${value} + ${number}`],
  [/^(?:subtract|minus|take away|-|−) ?(.+)$/i, (value, number) => `${value} - ${number}`],
  [/^(?:multiply (?:it |that )?by|times|\*|×) ?(.+)$/i, (value, number) => `${value} * ${number}`],
  [/^(?:divide (?:it |that )?by|divided by|over|\/|÷) ?(.+)$/i, (value, number) => `${value} / ${number}`],
  [/^(double)(?: it| that)?$/i, value => `${value} * 2`],
  [/^(halve)(?: it| that)?$/i, value => `${value} / 2`],
  [/^(square)(?: it| that)?$/i, value => `${value} ^ 2`],
  [/^(round)(?: it| that)?$/i, value => `round(${value})`],
]

const known = (before: Result): string => {
  if (before.value === undefined) throw new PlanError('There is no number to go on with')
  return before.value < 0 ? `(${formatNumber(before.value)})` : formatNumber(before.value)
}

/** Whether it is arithmetic; whether it has a value is for the calculator to say. */
const readable = (expression: string): boolean => {
  try {
    evaluate(expression)
    return true
  } catch (error) {
    return error instanceof NoValueError
  }
}

/** The task that one clause asks for, or undefined when it is not understood. */
function readClause(clause: string): Task | undefined {
  const said = /^(?:echo|say) +(.+)$/i.exec(clause)
  if (said !== null) return { capability: 'echo', ask: () => said[1] ?? '', follows: false }
  if (/\b(?:time|date|day|clock)\b/i.test(clause)) return { capability: 'time', ask: () => clause, follows: false }

  const again = /^(?:convert )?(?:it |that |the result )?(?:to|in|into|as) (\S.*)$/i.exec(clause)
  if (again !== null && findUnit(again[1] ?? '') !== undefined) {
    return {
      capability: 'convert/units',
      ask: before => {
        if (before.unit === undefined) throw new PlanError('There is no unit to convert from')
        return `convert ${formatNumber(before.value ?? Number.NaN)} ${before.unit} to ${again[1]}`
      },
      follows: true,
    }
  }
  const conversion = readConversion(clause)
  if (conversion !== undefined && findUnit(conversion.to) !== undefined) {
    return { capability: 'convert/units', ask: () => clause, follows: false }
  }
  for (const [pattern, write] of operations) {
    const number = bareExpression(pattern.exec(clause)?.[1] ?? '')
    // "double" and its kind stand alone, so what was matched is the word itself.
    if (number !== '' && (readable(number) || /^[a-z]+$/i.test(number))) {
      return { capability: 'calculate', ask: before => write(known(before), number), follows: true }
    }
  }
  const expression = bareExpression(clause)
  const replaced = expression.replaceAll(/\b(?:it|that|the result)\b/gi, '1')
  if (replaced !== expression && readable(replaced)) {
    const ask = (before: Result): string => expression.replaceAll(/\b(?:it|that|the result)\b/gi, known(before))
    return { capability: 'calculate', ask, follows: true }
  }
  return readable(expression) ? { capability: 'calculate', ask: () => expression, follows: false } : undefined
}

/** Parts joined by commas outside parentheses or by "and"; what is to be said is left whole. */
const splitClauses = (sentence: string): string[] =>
  /^(?:echo|say) /i.test(sentence) ? [sentence] : sentence.split(/,(?![^(]*\)) *(?:and )?|\band\b/i)

/**
 * The plan for a sentence such as `convert 5 km to miles then add 3`.
 * @throws PlanError when a part of it is not understood
 */
export function makePlan(text: string): Plan {
  const chains: Task[][] = []
  let count = 0
  for (const part of text.split(/[;\n]|,? *\b(?:and )?then\b *,?/i)) {
    const sentence = part.trim().replace(/[.!?]+$/, '')
    if (sentence === '') continue
    for (const clause of splitClauses(sentence)) {
      const trimmed = clause.trim()
      if (trimmed === '') continue
      const task = readClause(trimmed)
      if (task === undefined) throw new PlanError(`I do not know whom to ask about “${trimmed.slice(0, 60)}”`)
      if (++count > MAX_TASKS) throw new PlanError(`I take at most ${MAX_TASKS} tasks at once`)
      const chain = task.follows ? chains.at(-1) : undefined
      if (task.follows && chain === undefined)
        throw new PlanError(`“${trimmed.slice(0, 60)}” needs something before it`)
      if (chain === undefined) chains.push([task])
      else chain.push(task)
    }
  }
  if (chains.length === 0) throw new PlanError('There is nothing to do')
  return chains
}
