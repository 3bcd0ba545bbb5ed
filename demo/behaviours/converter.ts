/** Converts units: `convert 5 km to miles`, `100 °F in °C`, `how many cups in 2 litres`. */

import { type Answer, type Behaviour, CannotAnswer, formatNumber, serve, textOf } from './behaviour.ts'
import { convert, readConversion, UnitError } from './units.ts'

/** The answer to a question about units. @throws CannotAnswer saying what is wrong with it */
export function convertText(text: string): Answer {
  const conversion = readConversion(text)
  if (conversion === undefined) throw new CannotAnswer('Ask me like this: convert 5 km to miles')
  try {
    const { value, to } = convert(conversion)
    const shown = Number(value.toPrecision(7))
    return { answer: `${formatNumber(shown)} ${to.symbol}`, value: shown, unit: to.symbol }
  } catch (error) {
    if (error instanceof UnitError) throw new CannotAnswer(error.message, { cause: error })
    throw error
  }
}

/** See the head of this file. */
export const converter: Behaviour = (agent, watch) => serve(agent, watch, message => convertText(textOf(message)))
