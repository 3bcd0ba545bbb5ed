import { primitives as noble } from '../../src/security/crypto.noble.ts'
import { primitives as node } from '../../src/security/crypto.ts'
import { primitivesContract } from './primitives-contract.ts'

primitivesContract('of Node', node)
primitivesContract('in JavaScript', noble)
