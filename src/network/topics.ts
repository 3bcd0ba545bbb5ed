/**
 * Names of gossip topics: `/afp/1/<mesh>/presence` and `/afp/1/<mesh>/topic/<name>`, mesh and name percent-encoded
 * (RFC 3986, section 2.1), so that a slash in a name is never taken for a border.
 */

import { AfpError } from '../common/errors.ts'
import { nameProblem } from '../identity/names.ts'
import { isTopicName, MAX_TOPIC_LENGTH } from '../message/validate.ts'

/**
 * The longest gossip topic, in characters: three percent-encoded bytes, nine characters, for each of the 64 units of a
 * mesh's name and the 128 of a topic's, and what stands around them.
 */
export const MAX_GOSSIP_TOPIC_LENGTH = '/afp/1//topic/'.length + 9 * (64 + MAX_TOPIC_LENGTH)

const PREFIX = '/afp/1/'

/** What a gossip topic stands for. */
export interface GossipTopic {
  readonly mesh: string
  /** The topic's name within its mesh; undefined for the mesh's presence. */
  readonly name: string | undefined
}

/**
 * The gossip topic of a mesh's presence.
 * @throws AfpError INVALID_NAME for a mesh that cannot have that name
 */
export function presenceTopic(mesh: string): string {
  return `${meshPrefix(mesh)}/presence`
}

/**
 * The gossip topic of a mesh's topic. Names that begin with `$` are the protocol's own and are taken here.
 * @throws AfpError INVALID_NAME for a mesh, INVALID_TOPIC for a topic that cannot have that name
 */
export function topicOf(mesh: string, name: string): string {
  if (!isTopicName(name)) {
    throw new AfpError('INVALID_TOPIC', `${JSON.stringify(name)} cannot be the name of a topic`)
  }
  return `${meshPrefix(mesh)}/topic/${encodeURIComponent(name)}`
}

/** What a gossip topic stands for, or undefined for one that {@link presenceTopic} and {@link topicOf} cannot make. */
export function parseTopic(topic: string): GossipTopic | undefined {
  if (topic.length > MAX_GOSSIP_TOPIC_LENGTH || !topic.startsWith(PREFIX)) return undefined
  const [meshPart, kind, namePart, ...rest] = topic.slice(PREFIX.length).split('/')
  const mesh = decoded(meshPart)
  if (mesh === undefined || nameProblem(mesh) !== undefined || rest.length > 0) return undefined
  if (kind === 'presence') return namePart === undefined ? { mesh, name: undefined } : undefined
  const name = decoded(namePart)
  return kind === 'topic' && name !== undefined && isTopicName(name) ? { mesh, name } : undefined
}

function meshPrefix(mesh: string): string {
  const problem = nameProblem(mesh)
  if (problem !== undefined) throw new AfpError('INVALID_NAME', `the mesh ${JSON.stringify(mesh)}: ${problem}`)
  return PREFIX + encodeURIComponent(mesh)
}

/** What a part stands for, if it is encoded in the one way that is ours: two spellings of a topic would be two topics. */
function decoded(part: string | undefined): string | undefined {
  if (part === undefined) return undefined
  try {
    const text = decodeURIComponent(part)
    return encodeURIComponent(text) === part ? text : undefined
  } catch {
    return undefined
  }
}
