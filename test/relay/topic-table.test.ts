import { describe, expect, test } from 'vitest'
import { type AllowedMeshes, TOPIC_LINGER, type TopicLimits, TopicTable } from '../../relay/topic-table.ts'
import { presenceTopic, topicOf } from '../../src/network/topics.ts'

const LIMITS: TopicLimits = { maxMeshes: 10, maxTopicsPerMesh: 10, maxTopicsPerPeer: 10, maxTopics: 100 }

function table(allowed: AllowedMeshes, limits: Partial<TopicLimits> = {}) {
  const time = { now: 0 }
  const topics = new TopicTable(allowed, { ...LIMITS, ...limits }, () => time.now)
  /** Each peer is in a place of its own, unless it is said where. */
  const wants = (peer: string, topic: string, place: string | undefined = peer) => topics.wants(peer, topic, place)
  return { time, topics, wants }
}

const news = topicOf('demo', 'news')

describe('the topics of a relay', () => {
  test('a topic of an allowed mesh is joined once, however many peers are in it', () => {
    const { topics, wants } = table(['demo'])
    expect(wants('ada', news)).toBe('join')
    expect(wants('bob', news)).toBe('known')
    expect(wants('bob', news)).toBe('known')
    expect([...topics.peers(news)]).toEqual(['ada', 'bob'])
    expect(topics.has(news)).toBe(true)
  })

  test('topics of other meshes and of other protocols are not joined', () => {
    const { topics, wants } = table(['demo'])
    expect(wants('ada', presenceTopic('other'))).toBe('mesh')
    expect(wants('ada', 'floodsub-chat')).toBe('not-a-topic')
    expect(topics.has(presenceTopic('other'))).toBe(false)
    expect(topics.sweep().join).toEqual([presenceTopic('demo')])
  })

  test('a topic is left some time after its last peer, and not if one comes back before', () => {
    const { time, topics, wants } = table('any')
    wants('ada', news)
    topics.leaves('ada', news)
    time.now = TOPIC_LINGER - 1
    expect(topics.sweep()).toEqual({ join: [], leave: [] })
    expect(wants('ada', news)).toBe('known')
    time.now = 2 * TOPIC_LINGER
    expect(topics.sweep().leave).toEqual([])
    topics.forget('ada')
    time.now = 3 * TOPIC_LINGER
    expect(topics.sweep().leave).toEqual([news])
    expect(topics.meshes().size).toBe(0)
  })

  test('the presence of a mesh that was named is joined with nobody there and never left', () => {
    const { time, topics, wants } = table(['demo'])
    expect(topics.sweep().join).toEqual([presenceTopic('demo')])
    wants('ada', presenceTopic('demo'))
    topics.forget('ada')
    time.now = 10 * TOPIC_LINGER
    expect(topics.sweep()).toEqual({ join: [], leave: [] })
  })

  test('a peer is heeded in so many topics and no more, until it leaves one', () => {
    const { wants } = table('any', { maxTopicsPerPeer: 3 })
    const wishes = ['a', 'b', 'c', 'd'].map(name => wants('ada', topicOf('demo', name)))
    expect(wishes).toEqual(['join', 'join', 'join', 'topics-per-peer'])
    expect(wants('bob', topicOf('demo', 'd'))).toBe('join')
  })

  test('a peer that changes its topics all the time makes the relay join few of them', () => {
    const { time, topics, wants } = table('any', { maxTopicsPerPeer: 5, maxTopics: 10_000, maxTopicsPerMesh: 10_000 })
    let joined = 0
    for (let i = 0; i < 1_000; i++) {
      const topic = topicOf('demo', `flood-${i}`)
      if (wants('eve', topic) === 'join') joined++
      topics.leaves('eve', topic)
    }
    expect(joined).toBe(5)
    time.now = 1_000
    expect(wants('eve', topicOf('demo', 'later'))).toBe('join')
    expect(wants('ada', news)).toBe('join')
  })

  test('one mesh has room for so many topics, and what waits is joined when room comes', () => {
    const { time, topics, wants } = table('any', { maxTopicsPerMesh: 2 })
    wants('ada', topicOf('demo', 'a'))
    wants('bob', topicOf('demo', 'b'))
    expect(wants('eve', topicOf('demo', 'c'))).toBe('topics-per-mesh')
    expect(wants('eve', topicOf('other', 'c'))).toBe('join')
    topics.forget('ada')
    time.now = TOPIC_LINGER
    expect(topics.sweep()).toEqual({ leave: [topicOf('demo', 'a')], join: [topicOf('demo', 'c')] })
  })

  test('all meshes together have room for so many topics, and a relay for every mesh for so many meshes', () => {
    const few = table('any', { maxTopics: 2 })
    expect(['a', 'b', 'c'].map(peer => few.wants(peer, topicOf(peer, 'news')))).toEqual(['join', 'join', 'topics'])
    const meshes = table('any', { maxMeshes: 2 })
    expect(['a', 'b', 'c'].map(peer => meshes.wants(peer, presenceTopic(peer)))).toEqual(['join', 'join', 'meshes'])
  })

  test('a flood of topics cannot take the place of a named mesh’s presence', () => {
    const { topics, wants } = table(['demo', 'quiet'], { maxTopics: 1, maxTopicsPerMesh: 1 })
    wants('eve', news)
    expect(topics.sweep().join).toEqual([presenceTopic('demo'), presenceTopic('quiet')])
  })

  test('a peer that was in a mesh before it was allowed is served from then on', () => {
    const { topics, wants } = table(['demo'])
    topics.sweep()
    expect(wants('ada', topicOf('late', 'news'))).toBe('mesh')
    const { join, leave } = topics.rule(['late'], LIMITS)
    expect(new Set(join)).toEqual(new Set([presenceTopic('late'), topicOf('late', 'news')]))
    expect(leave).toEqual([presenceTopic('demo')])
  })

  test('what is remembered of peers that left is nothing', () => {
    const { time, topics, wants } = table(['demo'])
    for (let i = 0; i < 100; i++) {
      wants(`p${i}`, topicOf('other', `t${i}`))
      wants(`p${i}`, news)
      topics.forget(`p${i}`)
    }
    time.now = TOPIC_LINGER
    expect(topics.sweep()).toEqual({ leave: [news], join: [presenceTopic('demo')] })
    expect(topics.rule('any', LIMITS)).toEqual({ join: [], leave: [] })
  })
})

describe('what there is of topics and meshes at a relay', () => {
  const names = Array.from({ length: 40 }, (_, i) => `${i}`)
  const HERE = '192.0.2.1'

  /** How many of the topics strangers in one place have the relay join, each of ten for itself. */
  function taken({ topics }: ReturnType<typeof table>, all: readonly string[], place: string | undefined): number {
    const joined = all.filter((topic, i) => topics.wants(`${place} ${i % 10}`, topic, place) === 'join')
    return joined.length
  }

  test.each([
    ['topics of a mesh', { maxTopicsPerMesh: 16, maxTopics: 100 }, (name: string) => topicOf('demo', name)],
    ['topics of all meshes', { maxTopics: 16, maxMeshes: 100 }, (name: string) => topicOf(name, 'news')],
    ['meshes', { maxMeshes: 16 }, presenceTopic],
  ] as const)(
    'a place has no more %s than are left for all others, with as many identities as it likes',
    (_, limits, named) => {
      const all = names.map(named)
      const relay = table('any', limits)
      expect(taken(relay, all, HERE)).toBe(8)
      expect(taken(relay, all.slice(10), '192.0.2.2')).toBe(4)
      expect(relay.wants('ada', named('own'))).toBe('join')
      // A proxy on the relay's machine brings everybody.
      expect(taken(relay, all.slice(20), undefined)).toBe(3)
    },
  )

  test('presence of a mesh has room whatever there is of its topics, and of all topics', () => {
    const { wants } = table('any', { maxTopicsPerMesh: 1, maxTopics: 1 })
    expect(['eve', 'ada'].map(peer => wants(peer, topicOf('demo', peer)))).toEqual(['join', 'topics-per-mesh'])
    expect(wants('ada', presenceTopic('demo'))).toBe('join')
    expect(wants('ada', presenceTopic('other'))).toBe('join')
  })

  test('whoever comes and goes under ever new identities has no more', () => {
    const relay = table('any', { maxTopicsPerMesh: 16 })
    const joined = names.filter((name, i) => {
      const wish = relay.wants(`eve ${i}`, topicOf('demo', name), HERE)
      relay.topics.forget(`eve ${i}`)
      return wish === 'join'
    })
    expect(joined).toHaveLength(8)
    relay.time.now = TOPIC_LINGER
    expect(relay.topics.sweep().leave).toHaveLength(8)
    expect(
      taken(
        relay,
        names.map(name => topicOf('demo', name)),
        HERE,
      ),
    ).toBe(8)
  })

  test('what somebody had is charged to another who wants it, in its own place or elsewhere, and its place is free', () => {
    const relay = table('any', { maxTopicsPerMesh: 4, maxMeshes: 2 })
    const [first, second, third] = names.map(name => topicOf('demo', name)) as [string, string, string]
    expect([first, second, third].map(topic => relay.wants('ada', topic, HERE))).toEqual([
      'join',
      'join',
      'topics-per-mesh',
    ])
    relay.wants('bob', first)
    relay.wants('cleo', second, HERE)
    relay.topics.forget('ada')
    relay.time.now = TOPIC_LINGER
    expect(relay.topics.sweep()).toEqual({ leave: [], join: [] })
    // One of four is bob's, one is cleo's: of two left one more is for this place, and one for who comes from elsewhere.
    expect(relay.wants('dora', third, HERE)).toBe('join')
    expect(relay.wants('dora', topicOf('demo', 'more'), HERE)).toBe('topics-per-mesh')
    expect(relay.wants('emil', topicOf('demo', 'more'))).toBe('join')
    // All are taken; still they go from one to another.
    relay.wants('fred', first)
    relay.topics.forget('bob')
    relay.time.now = 2 * TOPIC_LINGER
    expect(relay.topics.sweep()).toEqual({ leave: [], join: [] })
  })

  test('what a place has it keeps while somebody there wants it, though others have come and it has its share', () => {
    const relay = table('any', { maxTopicsPerMesh: 8 })
    const topics = names.map(name => topicOf('demo', name))
    expect(taken(relay, topics, HERE)).toBe(4)
    for (const topic of topics.slice(0, 4)) relay.wants('cleo', topic, HERE)
    for (const peer of ['ada', 'bob']) relay.wants(peer, topicOf('demo', peer))
    for (let i = 0; i < 10; i++) relay.topics.forget(`${HERE} ${i}`)
    relay.time.now = TOPIC_LINGER
    expect(relay.topics.sweep()).toEqual({ leave: [], join: [] })
  })

  test('what is kept for somebody who comes back from elsewhere is charged there', () => {
    const relay = table('any', { maxMeshes: 4 })
    const [first, ...others] = names.map(presenceTopic) as [string, ...string[]]
    relay.wants('ada', first, HERE)
    relay.topics.forget('ada')
    relay.wants('ada', first, '192.0.2.2')
    expect(relay.topics.sweep()).toEqual({ leave: [], join: [] })
    expect(taken(relay, others, HERE)).toBe(2)
  })

  test('who has its share does not come by more by waiting in the topics of others until they leave', () => {
    const relay = table('any', { maxTopicsPerMesh: 4 })
    const { topics, time, wants } = relay
    expect(
      taken(
        relay,
        names.map(name => topicOf('demo', name)),
        HERE,
      ),
    ).toBe(2)
    wants('ada', news)
    expect(wants('eve', news, HERE)).toBe('known')
    topics.forget('ada')
    time.now = TOPIC_LINGER - 1
    expect(topics.sweep()).toEqual({ leave: [], join: [] })
    time.now = TOPIC_LINGER
    expect(topics.sweep()).toEqual({ leave: [news], join: [] })
    expect(wants('bob', news)).toBe('join')
  })

  test('nor by waiting in the meshes of others', () => {
    const relay = table('any', { maxMeshes: 4 })
    const { topics, time, wants } = relay
    expect(taken(relay, names.map(presenceTopic), HERE)).toBe(2)
    const demo = [presenceTopic('demo'), news]
    wants('ada', presenceTopic('demo'))
    for (const topic of demo) wants('eve', topic, HERE)
    topics.forget('ada')
    topics.sweep()
    time.now = TOPIC_LINGER
    expect(topics.sweep()).toEqual({ leave: demo, join: [] })
    wants('ada', presenceTopic('demo'))
    expect(demo.map(topic => topics.has(topic))).toEqual([true, false])
    expect(topics.sweep().join).toEqual([news])
  })

  test('meshes that were named are bounded by their names alone', () => {
    const { topics, wants } = table(names, { maxMeshes: 1 })
    expect(['7', '8'].map(mesh => wants('ada', topicOf(mesh, 'news')))).toEqual(['join', 'join'])
    expect(topics.sweep().join).toHaveLength(names.length)
  })
})
