import { hpkeContract } from './hpke-contract.ts'
import { interopContract } from './interop-contract.ts'
import { openingContract } from './opening-contract.ts'
import { sealContract } from './seal-contract.ts'
import { sharedContentContract } from './shared-content-contract.ts'

hpkeContract('in Node')
interopContract('in Node')
openingContract('in Node')
sealContract('in Node')
sharedContentContract('in Node')
