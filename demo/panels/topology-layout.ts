/** Where the map's nodes stand: this page in the middle, the others on an ellipse around it, the relay above. */

/** A place on the map. */
export interface Point {
  readonly x: number
  readonly y: number
}

/** Size of the map, in its own units. */
export const WIDTH = 340
/** See {@link WIDTH}. */
export const HEIGHT = 300

/** Where this page stands. */
export const centre: Point = { x: WIDTH / 2, y: 168 }
/** Where the relay stands. */
export const relayPlace: Point = { x: WIDTH / 2, y: 34 }

/** The places of `count` agents, clockwise from the relay's right, which is left free. */
export function places(count: number): Point[] {
  const gap = count < 4 ? 1.15 : 0.62
  return Array.from({ length: count }, (_, index) => {
    const part = count === 1 ? 0.5 : index / (count - 1)
    const angle = -Math.PI / 2 + gap + part * (2 * Math.PI - 2 * gap)
    return { x: centre.x + 132 * Math.cos(angle), y: centre.y + 104 * Math.sin(angle) }
  })
}

/** A straight line between two nodes, shortened by their radii. */
export function line(
  from: Point,
  to: Point,
  gapFrom = 20,
  gapTo = 20,
): { readonly from: Point; readonly to: Point; readonly middle: Point } {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1
  const [dx, dy] = [(to.x - from.x) / length, (to.y - from.y) / length]
  const start = { x: from.x + dx * gapFrom, y: from.y + dy * gapFrom }
  const end = { x: to.x - dx * gapTo, y: to.y - dy * gapTo }
  return { from: start, to: end, middle: { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 } }
}

/** A path as SVG writes it. */
export const pathOf = (...points: readonly Point[]): string =>
  points.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`).join('')
