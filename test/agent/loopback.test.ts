import { agentContract } from '../contracts/agent.ts'
import { loopbackWorld } from './worlds.ts'

agentContract('Agents on libp2p over loopback', loopbackWorld)
