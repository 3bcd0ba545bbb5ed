/**
 * WebRTC for agents in Node, so that they reach tabs without a relay in between. Needs the optional package
 * `@libp2p/webrtc`, which brings native code: `npm install @libp2p/webrtc`.
 *
 * @packageDocumentation
 */

export { type WebRtcOptions, webrtc } from './network/webrtc-node.ts'
