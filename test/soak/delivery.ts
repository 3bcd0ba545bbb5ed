/** `npm run soak -- delivery`: the simulation of delivery, seed after seed. */

import { simulate } from '../simulation/delivery/simulation.ts'
import { soak } from './soak.ts'

process.exitCode = await soak('delivery', simulate, process.argv.slice(2))
