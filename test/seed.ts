/** The seed of tests that draw: a new one in each run, said where one fails, and taken from `AFP_SEED` to have it again. */

import { inject, type TestContext } from 'vitest'
import { systemRandom } from '../src/common/random.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The variables AFP_SEED and AFP_PATH, which tabs do not have; empty where they are not set. */
    readonly seed: string
    readonly path: string
  }
}

/** See the head of this file. */
export const SEED = inject('seed') === '' ? Math.floor(systemRandom.float() * 2 ** 32) : Number(inject('seed'))

/** To be given to `beforeEach`: whatever a test of the file fails with, a timeout too, its seed is said. */
export const saySeed = ({ onTestFailed }: TestContext): void =>
  onTestFailed(({ task }) => {
    for (const error of task.result?.errors ?? []) error.message += `\nAFP_SEED=${SEED} draws the same again`
  })
