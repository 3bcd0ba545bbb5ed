/** The page's icons: lines on a 20-unit square. They say nothing to screen readers; what stands beside them does. */

const paths = {
  person: 'M10 10.2a3.4 3.4 0 1 0 0-6.8 3.4 3.4 0 0 0 0 6.8Zm-6.4 6.6c.6-3.4 3.2-4.8 6.4-4.8s5.8 1.4 6.4 4.8',
  orchestrator:
    'M10 3.2v4.3m0 0L4.8 12.5M10 7.5l5.2 5M10 7.5v5M3.2 12.5h3.2v3.2H3.2zm5.2 0h3.2v3.2H8.4zm5.2 0h3.2v3.2h-3.2z',
  calculator: 'M5 2.8h10v14.4H5zm2.6 3h4.8m-4.8 4h.01m2.39 0h.01m2.39 0h.01m-4.81 3.6h.01m2.39 0h.01m2.39 0h.01',
  converter: 'M3 7.2h12.5m0 0L12.3 4m3.2 3.2-3.2 3.2M17 13.2H4.5m0 0 3.2 3.2m-3.2-3.2L7.7 10',
  clock: 'M10 17.2a7.2 7.2 0 1 0 0-14.4 7.2 7.2 0 0 0 0 14.4ZM10 6v4.2l2.8 1.9',
  echo: 'M4 8v4m3-6.5v9M10 3v14m3-11.5v9M16 8v4',
  everyone: 'M3.5 8.2v3.6h2.7l5.3 3.9V4.3L6.2 8.2zm10.7-.9a4 4 0 0 1 0 5.4m2-7.7a7 7 0 0 1 0 10',
  topic: 'M7.7 3.5 6 16.5m8-13-1.7 13M3.5 7.5h13.3M3.2 12.5h13.3',
  send: 'M3.5 10h11m0 0L10 5.5m4.5 4.5L10 14.5',
  ask: 'M7.2 7.3a2.9 2.9 0 1 1 4 2.7c-.8.35-1.2.9-1.2 1.8v.5m0 2.9v.05',
  invite:
    'M8.3 11.7a3.3 3.3 0 0 0 4.7 0l2.7-2.7A3.3 3.3 0 0 0 11 4.3l-.9.9m1.6 3.1a3.3 3.3 0 0 0-4.7 0L4.3 11A3.3 3.3 0 0 0 9 15.7l.9-.9',
  log: 'M4 5.5h12M4 10h12M4 14.5h7',
  map: 'M10 5.8 5 14.2m5-8.4 5 8.4m-8.4 1.3h6.8M10 6a1.9 1.9 0 1 0 0-3.8A1.9 1.9 0 0 0 10 6ZM4.7 17.4a1.9 1.9 0 1 0 0-3.8 1.9 1.9 0 0 0 0 3.8Zm10.6 0a1.9 1.9 0 1 0 0-3.8 1.9 1.9 0 0 0 0 3.8Z',
  talk: 'M3.5 4.5h13v9H9.3L6 16.7v-3.2H3.5z',
  keyboard: 'M2.5 5.5h15v9h-15zm3 3h.01m2.99 0h.01m2.99 0h.01m2.99 0h.01M6.5 11.8h7',
  light:
    'M10 13.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7Zm0-11.3v1.6m0 12.4v1.6M2.2 10h1.6m12.4 0h1.6M4.5 4.5l1.1 1.1m8.8 8.8 1.1 1.1m0-11-1.1 1.1m-8.8 8.8-1.1 1.1',
  dark: 'M16.5 11.8A7 7 0 0 1 8.2 3.5a7 7 0 1 0 8.3 8.3Z',
  auto: 'M10 17a7 7 0 1 0 0-14v14Zm0-14a7 7 0 0 0 0 14',
  close: 'm5 5 10 10M15 5 5 15',
  back: 'M12.5 4.5 7 10l5.5 5.5',
  copy: 'M7.5 7.5h8.5V16H7.5zM4 12.5V4h8.5',
  check: 'm4 10.5 4 4 8-9',
  delivered: 'm2 10.5 4 4 8-9m-3.5 8.5.5.5 7-8.5',
  letter: 'M2.8 5h14.4v10.5H2.8zm0 .5 7.2 5.5 7.2-5.5',
  pause: 'M7 5v10M13 5v10',
  bin: 'M4 5.5h12M8 5.5V3.5h4v2M5.5 5.5l.7 11h7.6l.7-11M8.5 8.5v5m3-5v5',
  again: 'M15.8 7A6.5 6.5 0 1 0 16.5 10M16.5 3.5V7.2h-3.7',
  plus: 'M10 4.5v11M4.5 10h11',
  warn: 'M10 3.3 17.5 16.5h-15zM10 8.5v3.5m0 2.2v.05',
} as const

/** The name of an icon. */
export type IconName = keyof typeof paths

/** An icon. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  )
}

/** The product's mark: three agents, two links and a relayed one. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <path class="mark-direct" d="M9.5 22.5 16 9.5l6.5 13" />
      <path class="mark-relayed" d="M9.5 22.5h13" />
      <circle cx="16" cy="9.5" r="4" />
      <circle cx="9.5" cy="22.5" r="4" />
      <circle class="mark-far" cx="22.5" cy="22.5" r="4" />
    </svg>
  )
}
