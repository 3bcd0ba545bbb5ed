/**
 * Where the map's nodes stand: this page in the middle, the relay above it, the others on an ellipse around. Those that
 * are reached through the relay stand beside it, the direct ones below, so that no two ways cross.
 */

/** A place on the map. */
export interface Point {
  readonly x: number
  readonly y: number
}

/** Size of the map, in its own units. */
export const WIDTH = 340
/** See {@link WIDTH}. */
export const HEIGHT = 312

/** Where this page stands. */
export const centre: Point = { x: WIDTH / 2, y: 164 }
/** Where the relay stands. */
export const relayPlace: Point = { x: WIDTH / 2, y: 26 }
/** Half the width and height of the ellipse. */
export const orbit = { x: 136, y: 112 }

/** A place on the ellipse; the angle is clockwise from the relay, in turns. */
const place = (turn: number): Point => ({
  x: centre.x + orbit.x * Math.sin(2 * Math.PI * turn),
  y: centre.y - orbit.y * Math.cos(2 * Math.PI * turn),
})

/** `count` turns spread evenly between two, at the middle when there is one. */
const spread = (count: number, from: number, to: number): number[] =>
  Array.from({ length: count }, (_, index) => from + ((index + 0.5) / count) * (to - from))

/** The places of agents, in their order; `far` tells which of them are reached through the relay. */
export function places(far: readonly boolean[]): Point[] {
  const farCount = far.filter(Boolean).length
  const right = Math.ceil(farCount / 2)
  // Without relayed ones the direct ones have the whole ellipse but the relay's own place.
  const border = farCount === 0 ? 0.1 : farCount === far.length ? 0.5 : 0.29
  const farTurns = [...spread(right, 0.1, border), ...spread(farCount - right, 1 - border, 0.9)]
  const nearTurns = spread(far.length - farCount, border, 1 - border)
  return far.map(isFar => place((isFar ? farTurns : nearTurns).shift() ?? 0.5))
}

/** A straight line between two nodes, shortened by their radii. */
export function line(from: Point, to: Point, gapFrom = 24, gapTo = 20): { from: Point; to: Point; middle: Point } {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1
  const [dx, dy] = [(to.x - from.x) / length, (to.y - from.y) / length]
  const start = { x: from.x + dx * gapFrom, y: from.y + dy * gapFrom }
  const end = { x: to.x - dx * gapTo, y: to.y - dy * gapTo }
  return { from: start, to: end, middle: { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 } }
}

/** A path as SVG writes it. */
export const pathOf = (...points: readonly Point[]): string =>
  points.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`).join('')
