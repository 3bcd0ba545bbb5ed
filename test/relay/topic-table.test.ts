import { describe, expect, test } from 'vitest'
import { type AllowedMeshes, TOPIC_LINGER, type TopicLimits, TopicTable } from '../../relay/topic-table.ts'
import { presenceTopic, topicOf } from '../../src/network/topics.ts'

const LIMITS: TopicLimits = { maxMeshes: 10, maxTopicsPerMesh: 10, maxTopicsPerPeer: 10, maxTopics: 100 }

function table(allowed: AllowedMeshes, limits: Partial<TopicLimits> = {}) {
  const time = { now: 0 }
  return { time, topics: new TopicTable(allowed, { ...LIMITS, ...limits }, () => time.now) }
}

const news = topicOf('demo', 'news')

describe('the topics of a relay', () => {
  test('a topic of an allowed mesh is joined once, however many peers are in it', () => {
    const { topics } = table(['demo'])
    expect(topics.wants('ada', news)).toBe('join')
    expect(topics.wants('bob', news)).toBe('known')
    expect(topics.wants('bob', news)).toBe('known')
    expect([...topics.peers(news)]).toEqual(['ada', 'bob'])
    expect(topics.has(news)).toBe(true)
  })

  test('topics of other meshes and of other protocols are not joined', () => {
    const { topics } = table(['demo'])
    expect(topics.wants('ada', presenceTopic('other'))).toBe('mesh')
    expect(topics.wants('ada', 'floodsub-chat')).toBe('not-a-topic')
    expect(topics.has(presenceTopic('other'))).toBe(false)
    expect(topics.sweep().join).toEqual([presenceTopic('demo')])
  })

  test('a topic is left some time after its last peer, and not if one comes back before', () => {
    const { time, topics } = table('any')
    topics.wants('ada', news)
    topics.leaves('ada', news)
    time.now = TOPIC_LINGER - 1
    expect(topics.sweep()).toEqual({ join: [], leave: [] })
    expect(topics.wants('ada', news)).toBe('known')
    time.now = 2 * TOPIC_LINGER
    expect(topics.sweep().leave).toEqual([])
    topics.forget('ada')
    time.now = 3 * TOPIC_LINGER
    expect(topics.sweep().leave).toEqual([news])
    expect(topics.meshes().size).toBe(0)
  })

  test('the presence of a mesh that was named is joined with nobody there and never left', () => {
    const { time, topics } = table(['demo'])
    expect(topics.sweep().join).toEqual([presenceTopic('demo')])
    topics.wants('ada', presenceTopic('demo'))
    topics.forget('ada')
    time.now = 10 * TOPIC_LINGER
    expect(topics.sweep()).toEqual({ join: [], leave: [] })
  })

  test('a peer is heeded in so many topics and no more, until it leaves one', () => {
    const { topics } = table('any', { maxTopicsPerPeer: 3 })
    const wishes = ['a', 'b', 'c', 'd'].map(name => topics.wants('ada', topicOf('demo', name)))
    expect(wishes).toEqual(['join', 'join', 'join', 'topics-per-peer'])
    expect(topics.wants('bob', topicOf('demo', 'd'))).toBe('join')
  })

  test('a peer that changes its topics all the time makes the relay join few of them', () => {
    const { time, topics } = table('any', { maxTopicsPerPeer: 5, maxTopics: 10_000, maxTopicsPerMesh: 10_000 })
    let joined = 0
    for (let i = 0; i < 1_000; i++) {
      const topic = topicOf('demo', `flood-${i}`)
      if (topics.wants('eve', topic) === 'join') joined++
      topics.leaves('eve', topic)
    }
    expect(joined).toBe(5)
    time.now = 1_000
    expect(topics.wants('eve', topicOf('demo', 'later'))).toBe('join')
    expect(topics.wants('ada', news)).toBe('join')
  })

  test('one mesh has room for so many topics, and what waits is joined when room comes', () => {
    const { time, topics } = table('any', { maxTopicsPerMesh: 2 })
    topics.wants('ada', topicOf('demo', 'a'))
    topics.wants('bob', topicOf('demo', 'b'))
    expect(topics.wants('eve', topicOf('demo', 'c'))).toBe('topics-per-mesh')
    expect(topics.wants('eve', topicOf('other', 'c'))).toBe('join')
    topics.forget('ada')
    time.now = TOPIC_LINGER
    expect(topics.sweep()).toEqual({ leave: [topicOf('demo', 'a')], join: [topicOf('demo', 'c')] })
  })

  test('all meshes together have room for so many topics, and a relay for every mesh for so many meshes', () => {
    const few = table('any', { maxTopics: 2 }).topics
    expect(['a', 'b', 'c'].map(mesh => few.wants('ada', presenceTopic(mesh)))).toEqual(['join', 'join', 'topics'])
    const meshes = table('any', { maxMeshes: 2 }).topics
    expect(['a', 'b', 'c'].map(mesh => meshes.wants('ada', presenceTopic(mesh)))).toEqual(['join', 'join', 'meshes'])
  })

  test('a flood of topics cannot take the place of a named mesh’s presence', () => {
    const { topics } = table(['demo', 'quiet'], { maxTopics: 1, maxTopicsPerMesh: 1 })
    topics.wants('eve', news)
    expect(topics.sweep().join).toEqual([presenceTopic('demo'), presenceTopic('quiet')])
  })

  test('a peer that was in a mesh before it was allowed is served from then on', () => {
    const { topics } = table(['demo'])
    topics.sweep()
    expect(topics.wants('ada', topicOf('late', 'news'))).toBe('mesh')
    const { join, leave } = topics.rule(['late'], LIMITS)
    expect(new Set(join)).toEqual(new Set([presenceTopic('late'), topicOf('late', 'news')]))
    expect(leave).toEqual([presenceTopic('demo')])
  })

  test('what is remembered of peers that left is nothing', () => {
    const { time, topics } = table(['demo'])
    for (let i = 0; i < 100; i++) {
      topics.wants(`p${i}`, topicOf('other', `t${i}`))
      topics.wants(`p${i}`, news)
      topics.forget(`p${i}`)
    }
    time.now = TOPIC_LINGER
    expect(topics.sweep()).toEqual({ leave: [news], join: [presenceTopic('demo')] })
    expect(topics.rule('any', LIMITS)).toEqual({ join: [], leave: [] })
  })
})
