import { describe, expect, test } from 'vitest'
import { DEFAULT_RELAY_LIMITS, relayLimits } from '../../relay/limits.ts'

describe('the limits of a relay', () => {
  test('what is not given has its default', () => {
    expect(relayLimits({ maxTopics: 7, maxMeshes: undefined } as never)).toEqual({
      ...DEFAULT_RELAY_LIMITS,
      maxTopics: 7,
    })
  })

  test.each([
    [{ maxConnection: 5 }, /maxConnection/],
    [{ __proto__: null, constructor: 5 }, /constructor/],
    [{ maxConnections: 0 }, /maxConnections/],
    [{ maxConnections: 1.5 }, /maxConnections/],
    [{ maxConnections: '5' }, /maxConnections/],
    // 2^31 ms: the platform's timers would fire at once.
    [{ maxRelayedSeconds: 2_147_484 }, /maxRelayedSeconds/],
    [{ reservationTtl: 2_147_484 }, /reservationTtl/],
  ])('%j is refused', (given, message) => {
    expect(() => relayLimits(given as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringMatching(message) }),
    )
  })
})
