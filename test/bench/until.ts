/** Waiting for what nobody tells. */

import { systemClock } from '../../src/common/clock.ts'

/** Looks again and again, some ms apart, until it is so. */
export async function until(isSo: () => boolean | Promise<boolean>, pause = 5): Promise<void> {
  while (!(await isSo())) await new Promise<void>(resolve => systemClock.after(pause, resolve))
}
