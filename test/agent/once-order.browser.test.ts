import { onceOrderContract } from '../contracts/once-order.ts'

onceOrderContract('WebCrypto')
