/** A STUN or TURN server, as RTCPeerConnection takes it: a type of its own, for projects without the DOM's. */
export interface IceServer {
  /** `stun:` and `turn:` URLs, RFC 7064 and RFC 7065. */
  readonly urls: string | string[]
  readonly username?: string
  readonly credential?: string
}
