/** What only conversations with one agent need. Fetched once the rest is drawn. */

export { Exchange } from './exchange.tsx'
export { Waiting } from './waiting.tsx'
