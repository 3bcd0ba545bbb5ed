/** Machines that are copied, and run beside their originals until somebody notices. */

import { newDisk } from './disks.ts'
import { boot, mayGoTwice, powerOff } from './machines.ts'
import { snapshotOf } from './snapshot.ts'
import type { Machine, Run } from './state.ts'

/** A second machine starts from a copy of what a first one has on its disk, which goes on. */
export async function clone(run: Run, machine: Machine): Promise<void> {
  const { machines, counters, history } = run
  counters.clones++
  const twin: Machine = {
    ...machine,
    name: `${machine.name}'`,
    place: `${machine.place}-copy`,
    doomed: false,
    original: machine,
    copiedAt: run.sent.length,
    settledBefore: new Set(run.sent.flatMap(({ ways }) => [...ways.values()].filter(({ processed }) => processed))),
    arrived: new Set(machine.arrived),
    snapshot: undefined,
    file: undefined,
    now: undefined,
    boots: 0,
  }
  history.add(twin.name, 'disk', { copyOf: machine.name })
  const rows = await snapshotOf(machine.disk)
  Object.assign(twin, await newDisk(run, twin, rows))
  mayGoTwice(run, rows)
  machines.push(twin)
  boot(run, twin)
}

/** Of two machines that are one, one has noticed, and stopped, or somebody else has: it was the copy, and is thrown away. */
export function endClone(run: Run, twin: Machine, isNoticed = true): void {
  const { original } = twin
  if (original === undefined || twin.gone) return
  twin.gone = true
  if (isNoticed) run.counters.clonesNoticed++
  if (twin.now !== undefined) powerOff(run, twin, twin.now)
  // Two machines with one identity are promised nothing but that this is noticed.
  for (const machine of [original, twin]) {
    machine.generation++
    machine.losses++
  }
  // The copy may have shown cards that are newer than the original's: who knew it believes these.
  original.mostSkew = Math.max(original.mostSkew, twin.mostSkew)
  original.unshown = true
  original.skew = original.mostSkew
  if (original.now !== undefined) powerOff(run, original, original.now)
  for (const [at, entry] of run.sent.entries()) {
    const { from, ways } = entry
    if (from.id === original.id) {
      // What one of two authors says of an epoch ends what the other has in it.
      for (const way of ways.values()) way.loose ||= !twin.settledBefore.has(way)
      if (at >= twin.copiedAt || [...ways.values()].some(({ copied }) => copied)) entry.ofTwo = true
      // What the copy was asked to send went with its disk.
      if (from === twin) entry.forgotten = true
    }
    const way = ways.get(original.id)
    // What had its end on both of their disks, and of which its sender knew that, does not go again.
    if (way === undefined || twin.settledBefore.has(way)) continue
    way.loose = true
    way.excused ??= 'its recipient was two machines'
    // One of them may have said of the other's keys that they are lost.
    way.mayGoTwice = true
  }
  run.history.add(original.name, 'told', { event: 'one again' })
}
