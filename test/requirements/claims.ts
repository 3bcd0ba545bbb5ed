/**
 * Which test proves which rows of requirements.ts: file, then the test's title after those of the groups it stands in,
 * then row ids. A row that stands nowhere here is not yet proved. A row is claimed only for a test that would fail
 * without it.
 */
export const claims: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  'test/common/abort.test.ts': {
    'within > tells the work through its signal when the time is up, with the reason that is made then': ['48'],
  },
  'test/common/errors.test.ts': {
    'AfpError > is an Error and an AfpError with its name, code, message, facts and cause': ['44'],
    'AfpMessageError > is an Error and an AfpError with its name, code, message, facts and cause': ['45'],
    'AfpRoutingError > is an Error and an AfpError with its name, code, message, facts and cause': ['46'],
    'AfpSubscriptionError > is an Error and an AfpError with its name, code, message, facts and cause': ['47'],
    'AfpTimeoutError > is an Error and an AfpError with its name, code, message, facts and cause': ['48'],
    'AfpDataStoreError > is an Error and an AfpError with its name, code, message, facts and cause': ['49'],
    'AfpSecurityError > is an Error and an AfpError with its name, code, message, facts and cause': ['50'],
  },
  'test/message/build.test.ts': {
    'buildMessage > Everything has its default.': ['1', '9', '12'],
    'buildMessage > What the caller says is taken.': ['4', '6', '7', '8', '9', '12'],
    'buildMessage > A recipient that is named twice gets the message once.': ['3'],
    'buildMessage > A message is for agents, for everyone or for a topic.': ['15'],
    'buildMessage > A message with a priority of 10 is refused.': ['12', 'F21'],
    'buildMessage > A message with a priority of -1 is refused.': ['12', 'F21'],
    'buildMessage > A message with a priority as text is refused.': ['F21'],
    'answers > An answer goes to the sender alone, names its parent, and inherits priority, guarantee and security.': [
      '18',
    ],
  },
  'test/message/content.test.ts': {
    'what survives > Any content arrives as what it was.': ['5', 'F6'],
    'what survives > Bytes do not come back as text, nor text as JSON.': ['F6'],
  },
  'test/message/envelope.test.ts': {
    'the way over the wire > Any message of any kind arrives as it was sent, with what the receiver found out about it.':
      ['1', '2', '3', '4', '5', '6', '7', '8', '9', '12', '21'],
    'the way over the wire > The sender is the one that was proved, whatever the message was made to say.': ['2'],
    'the way over the wire > Decoding again and again does not make the trace path grow.': ['F15'],
  },
  'test/message/filter.test.ts': {
    'content types > text/* on a message of type text/html; charset=utf-8: true.': ['28'],
    'content types > text/?tml on a message of type text/html: true.': ['28'],
    'content types > /^text\\// on a message of type text/html: true.': ['28'],
    'content types > application/ld+json* on a message of type application/ld+json: true.': ['28', 'F20'],
    'other fields > A sender is one id or one of several.': ['28'],
    'other fields > Metadata is compared as JSON, entry by entry, or with a regular expression.': ['28'],
    'other fields > A parent id is compared in either case.': ['28'],
    'other fields > A security level is the least that is taken.': ['28'],
    'other fields > Everything that is named has to hold.': ['28'],
  },
  'test/message/ids.test.ts': {
    'An id is a UUIDv7: time first, then version 7 and variant 2.': ['1'],
  },
  'test/message/json.test.ts': {
    'the JSON form > Any message comes back from its dictionary as it was.': ['20'],
    'the JSON form > Any message comes back from JSON text as it was.': ['21'],
    'the JSON form > Bytes, text that looks like base64, and JSON that looks like the marker each come back as what they were.':
      ['F6', 'F7'],
    'the JSON form > Going through JSON again and again does not make the trace path grow.': ['F15'],
  },
  'test/message/validate.test.ts': {
    'validateMessage > A message is good until its time to live is over.': ['16'],
  },
  'test/telemetry/metrics.test.ts': {
    'a counter > adds ones and amounts, and only grows': ['108'],
    'a gauge > is set, goes up and down, and ignores what is no number': ['108'],
    'a histogram > tells count, sum, min, max and mean exactly': ['108'],
    'a histogram > gives percentiles within 2 % of the value of that rank, over many magnitudes': ['108'],
    'a timer > records what passed on the clock between start and stop, once': ['108'],
    'tags > tell series apart, in whatever order they are given': ['108'],
    'a snapshot > is plain JSON, sorted, with everything that was measured': ['108'],
    'reset > forgets every value, and instruments that are held go on counting': ['108'],
  },
  'test/topics/subscriptions.test.ts': {
    'adding and removing > A subscription says what it is.': ['29'],
    'how it ends > After as many messages as it asked for, exactly; they can still be read.': ['29'],
    'how it ends > When its time is up, by itself; what it took can still be read.': ['29'],
    'delivery > Every subscription that matches gets the message, and those that took it are counted.': ['29', '30'],
    'adding and removing > Subscriptions are found by id, in a list, and by subscriber.': ['30'],
    'adding and removing > An id that is in use is refused, and free again afterwards.': ['30'],
    'adding and removing > Removing an unknown id is an error.': ['30'],
    'how it ends > When wall time jumps ahead it takes nothing more, and clean counts it.': ['30'],
  },
  'test/agent/loopback.test.ts': {
    'Agents on libp2p over loopback > direct messages > a message reaches the agent of that name with all that its sender said about it':
      ['2', '3', '5', '6', '10', '14', '17', '35', '92', '96'],
    'Agents on libp2p over loopback > direct messages > several recipients get the same message, each once': [
      '3',
      '37',
    ],
    'Agents on libp2p over loopback > direct messages > hundreds sent at once in both directions arrive once each and in order':
      ['43'],
    'Agents on libp2p over loopback > known faults of the example code in the published specification > a direct message reaches its recipients and no bystander whose subscription matches everything':
      ['F1'],
    'Agents on libp2p over loopback > known faults of the example code in the published specification > a broadcast reaches everyone but its sender':
      ['14', '15', '97', 'F11'],
    'Agents on libp2p over loopback > known faults of the example code in the published specification > text that looks like JSON arrives as what it was, in a message and in a reply':
      ['F6'],
    'Agents on libp2p over loopback > known faults of the example code in the published specification > an object arrives as what it was, in a message and in a reply':
      ['F6'],
    'Agents on libp2p over loopback > known faults of the example code in the published specification > bytes arrives as what it was, in a message and in a reply':
      ['F6', 'F7'],
    'Agents on libp2p over loopback > known faults of the example code in the published specification > partial delivery is told: the receipt says who was not reached, and the others were':
      ['39', 'F13'],
    'Agents on libp2p over loopback > known faults of the example code in the published specification > sending to agents of whom none is reached is an error':
      ['39', '46'],
    'Agents on libp2p over loopback > known faults of the example code in the published specification > a reply arrives once: a second answer to a request is a message of its own':
      ['102', 'F12'],
    'Agents on libp2p over loopback > known faults of the example code in the published specification > the trace path names who passed a message on, and does not grow by reading it':
      ['10', 'F15'],
    'Agents on libp2p over loopback > known faults of the example code in the published specification > an agent that leaves is gone for the others, with its subscriptions':
      ['32', 'F10'],
    'Agents on libp2p over loopback > requests > a request gets what the handler returns, and the handler knows that it is one':
      ['36', '101'],
    'Agents on libp2p over loopback > requests > hundreds at once get each its own reply': ['37', '43'],
    'Agents on libp2p over loopback > requests > a reply that does not come in time is an error, and is refused when it comes late':
      ['36', '48'],
    'Agents on libp2p over loopback > requests > an answer can be requested of an agent that offers a capability, and those that offer it take turns':
      ['42'],
    'Agents on libp2p over loopback > receiving > receive waits for what comes and takes what waits, in order': ['40'],
    'Agents on libp2p over loopback > receiving > receiveAll takes everything that waits and nothing twice': ['40'],
    'Agents on libp2p over loopback > topics > what is published reaches those that subscribed to the topic, and nobody else':
      ['98'],
    'Agents on libp2p over loopback > topics > leaving the loop leaves the topic': ['34', '99'],
    'Agents on libp2p over loopback > topics > one topic may have many subscriptions, each with its own filter': [
      '26',
      '28',
    ],
    'Agents on libp2p over loopback > topics > a regular expression filters too, once its engine is there': ['26'],
    'Agents on libp2p over loopback > knowing each other > peers tell who is there, with their cards and links': ['31'],
    'Agents on libp2p over loopback > what is wrong is refused before anything is sent > nobody': ['39', 'F2'],
    'Agents on libp2p over loopback > what is wrong is refused before anything is sent > an expired message': [
      '38',
      '100',
      'F2',
    ],
    'Agents on libp2p over loopback > what is wrong is refused before anything is sent > no MIME type': ['22'],
    'Agents on libp2p over loopback > what is wrong is refused before anything is sent > too much': ['22'],
  },
  'test/agent/life.test.ts': {
    'Draining and closing > a closed agent does nothing more, and says so': ['33'],
    'Draining and closing > subscriptions end with their agent: loops finish with what they took': ['32', 'F10'],
  },
  'test/agent/hooks.test.ts': {
    'Hooks > a hook refuses what leaves, and nothing of it leaves': ['22'],
    'Hooks > a hook refuses what comes, and its sender learns nothing': ['22'],
  },
  'test/agent/strangers.test.ts': {
    "A stranger > that says another's card is refused as bad-card, told so, and nothing of it is believed": ['F22'],
    'known faults of the example code in the published specification > nobody says who the sender is: it is whoever the connection proves':
      ['2', 'F22'],
    'known faults of the example code in the published specification > nobody publishes for another: gossip that its author did not sign reaches nobody':
      ['F22'],
  },
  'test/agent/duplicates.test.ts': {
    'known faults of the example code in the published specification > nobody chooses what another takes for a duplicate of a message of somebody else':
      ['F23'],
  },
  'test/agent/time-to-live.test.ts': {
    'Time to live > a message that expires on the way never reaches a handler': ['38'],
  },
  'test/agent/kept.test.ts': {
    'A kept message > is what is sent unless something else is asked for': ['11', '17'],
    'A kept message > is delivered, and then processed when its handler is done': ['69', '70'],
    'A kept message > waits at its recipient until somebody reads, over a restart of both': ['82', '123'],
    'A kept message > that expires undelivered becomes a dead letter, and is sent anew by its retry': ['79', '81'],
    'A kept message > that could not be handled is handled by the retry of its dead letter': ['79', '81'],
    'A kept message > of several recipients is told for each': ['F13'],
    'A kept request > is answered over the same way, also when its handler runs on another day than its asker hoped': [
      '68',
      'F8',
    ],
    'A handler with a transaction > counts once, however often its message came and its agent went': ['68'],
  },
  'test/agent/tries.test.ts': {
    'A kept message that nobody acknowledges > is pending until it is handed to a connection, and sent from then on': [
      '69',
    ],
    'A kept message that nobody acknowledges > is tried as often as was asked for, and each of these is told and counted':
      ['69', '70', 'F9'],
    'A kept message that nobody acknowledges > is tried as often as was asked for over restarts of its sender, each of them early':
      ['70', 'F9'],
    'A kept message that nobody acknowledges > that expires before the try that was announced counts those that were made':
      ['69', '70'],
  },
  'test/delivery/shared.test.ts': {
    'a message to several recipients > is sealed once: each gets the same bytes, and the key of them for itself': [
      '62',
      'F4',
    ],
    'a message to several recipients > that is not kept is an error for each recipient without a key': ['62'],
  },
  'test/simulation/delivery/simulation.test.ts': {
    'loses nothing, does nothing twice and keeps order, whatever fails': ['68', '82', '83'],
  },
  'test/simulation/mesh/simulation.test.ts': {
    'A mesh > loses nothing, does nothing twice, keeps order, uses no nonce twice and leaves nothing over, whatever fails':
      ['82', '83'],
  },
  'test/faults/kills.test.ts': {
    'nothing that was kept is lost, nothing is noted twice or out of the order of its class, with 25 kills, 9 of all > of the sender':
      ['82', '83'],
    'nothing that was kept is lost, nothing is noted twice or out of the order of its class, with 25 kills, 9 of all > of the recipient, whose store keeps who it is':
      ['82', '83'],
    'nothing that was kept is lost, nothing is noted twice or out of the order of its class, with 25 kills, 9 of all > of the relay between them':
      ['82', '83'],
    'nothing that was kept is lost, nothing is noted twice or out of the order of its class, with 25 kills, 9 of all > of all three at once':
      ['82', '83'],
  },
  'test/delivery/receipts.test.ts': {
    'the five statuses > stand for the states as the table says': ['69'],
  },
  'test/delivery/tracker.test.ts': {
    'the promises of a message > are broken when one recipient will not get it, and the error says which, why, and what is in doubt':
      ['53'],
  },
  'test/delivery/retry.test.ts': {
    'the number of tries > of the defaults is 4 for the fixed strategy, which is the base one, and 6 for the exponential one':
      ['71', '72', '73', 'F16'],
    'an exponential strategy > stops growing at its cap, also where the power of its factor has long overflowed': [
      '73',
    ],
    'an exponential strategy > moves each pause by its jitter and no further, to both sides': ['73'],
  },
  'test/delivery/retry-schedule.test.ts': {
    'a schedule of retries > gives out what is due in order of time, then of scheduling, and each only once': ['74'],
    'a schedule of retries > keeps a strategy for each message, from its first failure to its last': ['74'],
    'a schedule of retries > throws when a message is exhausted, with the retries it had, and forgets it': ['74'],
    'a schedule of retries > never gives out what was cancelled, waiting or under way': ['74'],
  },
  'test/delivery/breaker.test.ts': {
    'a closed breaker > opens at the fifth failure in a row, not at the fourth': ['75'],
    'an open breaker > runs nothing and throws an error with its name, failures and reset timeout in seconds': ['52'],
    'an open breaker > does the fallback instead, and only then': ['77'],
    'an open breaker > lets a call try after 30 s of elapsed time, whatever the wall clock does': ['75'],
    'a half-open breaker > lets one call through at a time, not two': ['75', 'F17'],
    'a half-open breaker > closes after as many successes as it lets calls through, and lets no more through than that takes':
      ['76'],
    'by hand > a breaker is closed by reset, whatever it was, and forgets': ['75'],
    'by hand > a breaker that is forced open stays so until it is reset': ['75'],
  },
  'test/delivery/breakers.test.ts': {
    'a registry of circuit breakers > tells all of them, their states, and resets all': ['78'],
    'a registry of circuit breakers > removes one, and the next of that name begins anew': ['78'],
  },
  'test/delivery/quiet.test.ts': {
    'an acknowledgement is not acknowledged: after the last one nothing of delivery is said': ['F14'],
  },
  'test/delivery/dead-letters.test.ts': {
    'dead letters over memory > keep everything about a letter over a restart, its notes too': ['79', 'F18'],
    'dead letters over SQLite > keep everything about a letter over a restart, its notes too': ['79', 'F18'],
    'dead letters over SQLite > are all found after a restart, also when they are many': ['79'],
    'dead letters over SQLite > go on with their automatic retries after a restart where they were': ['81'],
    'a dead letter > that nobody knows is undefined, cannot be marked or discarded, and is an error to retry': ['79'],
    'a dead letter > takes no note that is too long and not more than its bound': ['79'],
    'a dead letter > loses no note when several are made at once': ['79'],
    'a list of dead letters > takes filters, alone and together': ['79'],
    'a list of dead letters > has 100 letters unless told otherwise, the newest': ['79', 'F19'],
    'purging > takes processed letters only, unless told otherwise, and only those of the age asked for': ['79'],
  },
  'test/delivery/dead-letters.browser.test.ts': {
    'dead letters over IndexedDB > keep everything about a letter over a restart, its notes too': ['79', 'F18'],
  },
  'test/delivery/dead-letter-retries.test.ts': {
    'automatic retries > come when their policy says, as often as it says, and then no more': ['81'],
  },
  'test/delivery/priority-queue.test.ts': {
    'a priority queue > lets a higher class go a hundred times as often as the lowest, and starves none': ['130'],
  },
  'test/security/room.test.ts': {
    'the seal of a direct message in Node > opens with the key, number and header it was made with, and to the same bytes everywhere':
      ['61', '63'],
    'the seal of a direct message in Node > no bit of header or ciphertext can be changed, and nothing cut off or added':
      ['F3', 'F5'],
  },
  'e2e/demo.spec.ts': {
    'visitors of the demo join by its form, see each other and chat directly': ['95'],
    'a visitor of the demo asks a calculator in another tab, and one in Node, and gets their answers': ['95'],
  },
  'e2e/messages.spec.ts': {
    'three tabs exchange direct messages, requests, topics and broadcasts of every kind of content': ['92', '97', '98'],
    'a direct message does not reach a bystander, whatever it subscribes to': ['F1'],
  },
}
