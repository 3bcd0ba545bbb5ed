/** Noise in browsers, as libp2p has it. */

export { noise } from '@libp2p/noise'
