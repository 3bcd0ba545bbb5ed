/** The bugs that are planted, see `plant.ts`. */

import { AUTHOR_BUGS } from './of-authors.ts'
import { FEED_BUGS } from './of-feeds.ts'
import { MESH_BUGS } from './of-meshes.ts'
import { RECIPIENT_BUGS } from './of-recipients.ts'
import { SEAL_BUGS } from './of-seals.ts'
import type { Bug } from './plant.ts'

/** See the head of this file. */
export const BUGS: readonly Bug[] = [...FEED_BUGS, ...AUTHOR_BUGS, ...RECIPIENT_BUGS, ...SEAL_BUGS, ...MESH_BUGS]
