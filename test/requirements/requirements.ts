/** What the protocol has to do, row by row; claims.ts says which test proves what. */

/** A row's id: the number of a feature, or `F` and the number of a fault that must not come back. */
export interface Requirement {
  readonly id: string
  readonly text: string
}

const features = `1 Message: an id of its own, a UUID
2 Message: its sender
3 Message: a list of recipients
4 Message: a content type, which is a MIME type
5 Message: content
6 Message: metadata
7 Message: the id of the message it answers
8 Message: when it was made
9 Message: a time to live, 3600 s by default
10 Message: the path it travelled
11 Message: a delivery guarantee, at-least-once by default
12 Message: a priority from 0 to 9, 0 by default
13 Message: a JSON Schema that JSON content must satisfy
14 Message: what is known of its security
15 Message: tells whether it is a broadcast
16 Message: tells whether it has expired
17 Message: tells whether it wants an acknowledgement
18 Message: makes a response that names its parent and keeps its security
19 Message: acknowledgements travel at priority 9
20 Message: to a plain object and back
21 Message: to JSON and bytes and back
22 Validation: content types, sizes, hooks before sending and after receiving
23 Content: text, JSON, binary, image, audio, video, streams
24 Content: streaming media
25 Content: large content by reference
26 Subscription: by pattern on sender, content type and metadata, with regular expressions
28 Filter: content type by name, glob and regular expression; sender, metadata, parent, predicate, least security level
29 Subscription: id, expiry, message limit, description, count, age; matching, processing, expiring
30 Subscriptions: add, remove, match, clean, list by subscriber; a used or unknown id is an error
31 Mesh: an agent joins
32 Mesh: an agent that leaves takes its subscriptions along
33 Mesh: subscribing on an agent that is not in the mesh is an error
34 Mesh: unsubscribe
35 Mesh: send without waiting for an answer
36 Mesh: send, wait at most so long, and get the answer
37 Mesh: several recipients, broadcast, answers led to their question
38 Mesh: an expired message is refused with an error
39 Mesh: what cannot be delivered is an error, and one recipient's failure does not stop the others
40 Mesh: receive one, receive all
42 Mesh: a message finds an agent by what it is able to do
43 Mesh: holds under concurrency
44 Errors: one base with details
45 Errors: message, with its id
46 Errors: routing, with sender, recipients and message
47 Errors: subscription, with subscriber and id
48 Errors: timeout, with message and time
49 Errors: data store, with the reference
50 Errors: security, with agent and context
51 Errors: partition, with its id and the agents affected
52 Errors: circuit breaker, with name, failures and reset time
53 Errors: delivery, with message, guarantee and retries
55 Security: pluggable authenticators that authenticate, sign and verify
56 Security: HMAC-SHA256 with a key per agent, nonces and a replay window
57 Security: key management
58 Security: JWT with token management and revocation
59 Security: an interface for encryption
60 Security: AES-256-GCM, keys at random or from a passphrase with PBKDF2-SHA256
61 Security: encrypt and decrypt a message
62 Security: a message key wrapped for each recipient; a missing key is an error
63 Security: from end to end
64 Authorization: the eight permissions
65 Authorization: roles basic, standard and admin
66 Authorization: agents, grants, roles, checks of one's own, sending and receiving
67 Authorization: policies over attributes and context
68 Delivery: at most once, at least once, exactly once
69 Delivery: pending, sent, delivered, failed, expired
70 Delivery: tracked, acknowledged, failed; callbacks for delivery, retry, expiry
71 Retry: base, 1 s, 3 times
72 Retry: fixed, 1 s, 3 times
73 Retry: exponential, 0.1 s doubling to 60 s with jitter, 5 times
74 Retry: schedule, due, cancel; a strategy for each message; exhausted is an error
75 Breaker: 5 failures open it for 30 s, one half-open call; its state, count, reset and forced opening
76 Breaker: closes after as many successes as half-open calls
77 Breaker: a fallback
78 Breakers: a registry
79 Dead letters: add, get, mark, list, retry, purge; they survive a restart
81 Dead letters: retried by hand and by policy
82 Delivery: durable, and recovered after a crash
83 Delivery: duplicates are dropped
84 Partitions: found by heartbeats and timeouts
85 Partitions: local work and queueing go on
86 Partitions: healing brings states together and replays messages
87 Consistency: strong, eventual, causal
88 Consistency: version numbers or vector clocks
89 Consistency: merge functions, the last writer wins
90 Consistency: state is brought to every node
91 Data store: store and retrieve by key, large content too
92 Agent: handles a message, sends a message
93 Agent: meets other frameworks at clear points
94 Command line: send, receive, subscribe, unsubscribe; an unknown command is an error
95 Demo
96 Named test: send and receive
97 Named test: broadcast
98 Named test: subscription
99 Named test: unsubscribe
100 Named test: expired message
101 Named test: synchronous request
102 Named test: asynchronous request
103 Named test: data store
108 Metrics: counter, gauge, histogram, timer, tags, reset, JSON
109 Metrics: messages, sizes, agents, subscriptions, times, errors by kind; a report
110 Metrics: throughput, latency, error rate, resources
111 Traces: spans, events, attributes
112 Traces: send, receive, process; by message and by agent
113 Traces: exported in standard formats
114 Health checks
115 Visualisation
116 Benchmark: direct messages, latency and throughput
117 Benchmark: many agents
118 Benchmark: workflows and the price of reliability
119 Benchmark: calls to a service outside
123 Persistent storage
124 Clustering
125 Bridges to MQTT and AMQP
126 Advanced routing
127 Schema validation
128 Optimised serialization and routing
129 Streaming
130 Priority
131 Can be adopted step by step
132 Modular
133 Falls back to simpler communication
134 Clear integration points`

/** Faults of the example code in the published specification, each stated as what holds here. */
const faults = `F1 A direct message does not reach a bystander whose subscription matches
F2 Sending does not succeed for an expired message, for no receiver, or for a handler that threw
F3 The signature covers metadata, priority, time to live and parent
F4 Every recipient's verification passes, not only the first's
F5 The sender is authenticated data and cannot be swapped
F6 JSON and bytes come back as what they were
F7 Bytes can be serialised
F8 The guarantee asked for is the one given
F9 Retries are counted
F10 Leaving drops the agent's subscriptions
F11 A broadcast is not echoed to its sender
F12 A reply arrives once
F13 Partial delivery is told
F14 An acknowledgement asks for none
F15 The trace path does not grow by decoding
F16 The last of the retries is made
F17 Half-open lets exactly one call through
F18 A dead letter keeps its notes over a restart
F19 A limited list of dead letters gives the newest
F20 A glob over a content type with a plus sign in it matches
F21 A priority out of range is refused
F22 Nobody can claim another's identity
F23 No sender chooses what its receiver takes for a duplicate of another's message`

export const requirements: readonly Requirement[] = `${features}\n${faults}`.split('\n').map(line => {
  const space = line.indexOf(' ')
  return { id: line.slice(0, space), text: line.slice(space + 1) }
})
