/** How the clocks of machines are set: now and then while things happen, and right in the end. */

import type { Machine, Run } from './state.ts'

/** How far from theirs others believe a clock, ms. */
const BELIEVED = 120_000

/** Somebody sets a machine's clock. */
export function setClock({ sent, refusals }: Run, machine: Machine, skew: number): void {
  const before = machine.skew
  // The number of its card may be nowhere but in its time.
  machine.skew = machine.unshown || refusals !== undefined ? Math.max(skew, machine.mostSkew) : skew
  // What had expired, and had no end on the disk yet, goes after all, behind what was sent since.
  if (machine.skew < before)
    for (const { id, from, ttl, ways } of sent)
      if (from === machine && ttl !== undefined) for (const way of ways.values()) way.loose ||= !way.to.arrived.has(id)
  machine.mostSkew = Math.max(machine.mostSkew, machine.skew)
}

/** In the end clocks are right; those that were far apart all go as the furthest that must not be set back. */
export function setClocks(run: Run): void {
  const { machines, furthest, refusals } = run
  // One of two that are one goes on as the furthest of both.
  const twins = machines.flatMap(twin => (twin.original === undefined || twin.gone ? [] : [twin, twin.original]))
  const bound = machines.filter(one => !one.gone && (one.unshown || refusals !== undefined || twins.includes(one)))
  const skew = furthest > BELIEVED ? Math.max(0, ...bound.map(({ mostSkew }) => mostSkew)) : 0
  for (const machine of machines) setClock(run, machine, skew)
}
