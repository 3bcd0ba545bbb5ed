/** The behaviours to choose from: what each is called, what it can do, and what to ask it. */

import type { Behaviour } from './behaviour.ts'

/** A behaviour's short name, as in an invite link's `as`. */
export type BehaviourName = 'person' | 'echo' | 'clock' | 'calculator' | 'converter' | 'orchestrator'

/** What the page shows of a behaviour. */
export interface BehaviourEntry {
  readonly name: BehaviourName
  readonly title: string
  readonly summary: string
  /** The same as others read it on the agent's card, where the summary speaks to its owner. */
  readonly about?: string
  /** What the agent's card says it can do. */
  readonly capability: string
  /** Things to ask it. */
  readonly examples: readonly string[]
  /** Names to suggest. */
  readonly names: readonly string[]
  /** How long a request to it may take, ms: people think longer than machines. */
  readonly timeout: number
  /** Its code, fetched when it is chosen. */
  readonly load: () => Promise<Behaviour>
}

/** All behaviours, in the order in which they are offered. */
export const catalogue: readonly BehaviourEntry[] = [
  {
    name: 'person',
    title: 'Person',
    summary: 'You chat, and answer requests by hand.',
    about: 'Somebody who chats, and answers requests by hand.',
    capability: 'chat',
    examples: ['Are you there?'],
    names: ['Ada', 'Grace', 'Linus', 'Noor', 'Emil', 'Mika', 'Ines', 'Theo'],
    timeout: 120_000,
    load: async () => (await import('./person.ts')).person,
  },
  {
    name: 'orchestrator',
    title: 'Orchestrator',
    summary: 'Splits a task and asks agents that can do the parts.',
    capability: 'orchestrate',
    examples: ['convert 5 km to miles then add 3', 'what time is it and 12 * 12', 'convert 100 F to C then double it'],
    names: ['Maestro', 'Conductor', 'Relayne'],
    timeout: 20_000,
    load: async () => (await import('./orchestrator.ts')).orchestrator,
  },
  {
    name: 'calculator',
    title: 'Calculator',
    summary: 'Works out arithmetic.',
    capability: 'calculate',
    examples: ['12 * (3 + 4)', '15% of 80', 'sqrt(2) ^ 2'],
    names: ['Abacus', 'Sum', 'Napier'],
    timeout: 5_000,
    load: async () => (await import('./calculator.ts')).calculator,
  },
  {
    name: 'converter',
    title: 'Unit converter',
    summary: 'Length, mass, temperature and more.',
    capability: 'convert/units',
    examples: ['convert 5 km to miles', '100 °F in °C', 'how many cups in 2 litres'],
    names: ['Caliper', 'Metric', 'Ounce'],
    timeout: 5_000,
    load: async () => (await import('./converter.ts')).converter,
  },
  {
    name: 'clock',
    title: 'Clock',
    summary: 'Tells the time, here and elsewhere.',
    capability: 'time',
    examples: ['what time is it', 'time in Tokyo', 'time in Europe/Berlin'],
    names: ['Tick', 'Sundial', 'Meridian'],
    timeout: 5_000,
    load: async () => (await import('./clock.ts')).clock,
  },
  {
    name: 'echo',
    title: 'Echo',
    summary: 'Says back what it hears.',
    capability: 'echo',
    examples: ['Hello there', 'Is this thing on?'],
    names: ['Canyon', 'Parrot', 'Mirror'],
    timeout: 5_000,
    load: async () => (await import('./echo.ts')).echo,
  },
]

/** The behaviour of a name, or the first one, a person. */
export const behaviourNamed = (name: string | null | undefined): BehaviourEntry =>
  catalogue.find(entry => entry.name === name) ?? (catalogue[0] as BehaviourEntry)

/** The behaviour that an agent's capabilities tell of, if it is one of these. */
export const behaviourOf = (capabilities: readonly string[]): BehaviourEntry | undefined =>
  catalogue.find(entry => capabilities.includes(entry.capability))
