import { agentContract } from '../contracts/agent.ts'
import { memoryWorld } from './worlds.ts'

agentContract('Agents in memory', memoryWorld)
