/** Tells the time, here or in a named time zone: `what time is it`, `time in Asia/Tokyo`. */

import { systemClock } from 'agent-flow-protocol'
import { type Answer, type Behaviour, CannotAnswer, serve, textOf } from './behaviour.ts'

const zoneName = /\b(?:in|at) +([a-z]+(?:[/_+-][a-z0-9]+)*)/i

/** Cities by the last part of their zone's name in lower case, so that `tokyo` finds `Asia/Tokyo`. */
let cities: Map<string, string> | undefined

function findZone(name: string): string | undefined {
  const wanted = name.toLowerCase().replaceAll(' ', '_')
  if (wanted === 'utc' || wanted === 'gmt') return 'UTC'
  cities ??= new Map(
    Intl.supportedValuesOf('timeZone').flatMap(zone => [
      [zone.toLowerCase(), zone],
      [zone.slice(zone.lastIndexOf('/') + 1).toLowerCase(), zone],
    ]),
  )
  return cities.get(wanted)
}

/** The answer to a question about the time at `now`, ms since 1970. @throws CannotAnswer for an unknown zone */
export function tellTime(text: string, now: number): Answer {
  const place = zoneName.exec(text)?.[1]
  const zone = place === undefined ? 'UTC' : findZone(place)
  if (zone === undefined) throw new CannotAnswer(`I do not know the time zone “${place?.slice(0, 24)}”`)
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    hourCycle: 'h23',
    weekday: 'long',
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  })
  // Engines differ in what they put between the parts, so that is put here.
  const parts = new Map(format.formatToParts(now).map(({ type, value }) => [type, value]))
  const part = (...types: Intl.DateTimeFormatPartTypes[]): (string | undefined)[] => types.map(type => parts.get(type))
  const time = part('hour', 'minute', 'second').join(':')
  const day = part('weekday', 'day', 'month', 'year').join(' ')
  return { answer: `${time} in ${zone.replaceAll('_', ' ')}, ${day}`, value: Math.floor(now / 1000), unit: 's' }
}

/** See the head of this file. */
export const clock: Behaviour = (agent, watch) =>
  serve(agent, watch, message => tellTime(textOf(message), systemClock.now()))
