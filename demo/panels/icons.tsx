/** The page's icons: lines on a 20-unit square. They say nothing to screen readers; what stands beside them does. */

const paths = {
  person: 'M10 10.2a3.4 3.4 0 1 0 0-6.8 3.4 3.4 0 0 0 0 6.8Zm-6.4 6.6c.6-3.4 3.2-4.8 6.4-4.8s5.8 1.400 6.400 4.800',
  orchestrator:
    'M10 3.200v4.300m0 0L4.800 12.500M10 7.500l5.200 5M10 7.500v5M3.200 12.500h3.200v3.200H3.200zm5.200 0h3.200v3.200H8.400zm5.200 0h3.200v3.200h-3.200z',
  calculator:
    'M5 2.800h10v14.400H5zm2.600 3h4.800m-4.800 4h.01m2.390 0h.01m2.390 0h.01m-4.810 3.600h.01m2.390 0h.01m2.390 0h.01',
  converter:
    'M3 7.200h12.500m0 0L12.300 4m3.200 3.200-3.200 3.200M17 13.200H4.500m0 0 3.200 3.200m-3.200-3.200L7.700 10',
  clock: 'M10 17.200a7.200 7.200 0 1 0 0-14.400 7.200 7.200 0 0 0 0 14.400ZM10 6v4.200l2.800 1.900',
  echo: 'M4 8v4m3-6.500v9M10 3v14m3-11.500v9M16 8v4',
  everyone:
    'M3.500 8.200v3.600h2.700l5.300 3.900V4.300L6.200 8.200zm10.700-.9a4 4 0 0 1 0 5.400m2-7.700a7 7 0 0 1 0 10',
  topic: 'M7.700 3.500 6 16.500m8-13-1.700 13M3.500 7.500h13.300M3.200 12.500h13.300',
  send: 'M3.500 10h11m0 0L10 5.500m4.500 4.500L10 14.500',
  ask: 'M7.200 7.300a2.900 2.900 0 1 1 4 2.700c-.8.350-1.200.9-1.200 1.800v.5m0 2.900v.05',
  invite:
    'M8.300 11.700a3.300 3.300 0 0 0 4.700 0l2.700-2.700A3.300 3.300 0 0 0 11 4.300l-.9.9m1.600 3.100a3.300 3.300 0 0 0-4.700 0L4.300 11A3.300 3.300 0 0 0 9 15.700l.9-.9',
  log: 'M4 5.500h12M4 10h12M4 14.500h7',
  map: 'M10 5.800 5 14.200m5-8.400 5 8.400m-8.400 1.300h6.800M10 6a1.900 1.900 0 1 0 0-3.800A1.900 1.900 0 0 0 10 6ZM4.700 17.400a1.900 1.900 0 1 0 0-3.800 1.900 1.900 0 0 0 0 3.800Zm10.600 0a1.900 1.900 0 1 0 0-3.800 1.900 1.900 0 0 0 0 3.800Z',
  talk: 'M3.500 4.500h13v9H9.300L6 16.700v-3.200H3.500z',
  keyboard: 'M2.500 5.500h15v9h-15zm3 3h.01m2.990 0h.01m2.990 0h.01m2.990 0h.01M6.500 11.800h7',
  light:
    'M10 13.500a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7Zm0-11.300v1.600m0 12.400v1.600M2.200 10h1.600m12.400 0h1.600M4.500 4.500l1.100 1.100m8.800 8.800 1.100 1.100m0-11-1.100 1.100m-8.800 8.800-1.100 1.100',
  dark: 'M16.500 11.800A7 7 0 0 1 8.200 3.500a7 7 0 1 0 8.300 8.300Z',
  auto: 'M10 17a7 7 0 1 0 0-14v14Zm0-14a7 7 0 0 0 0 14',
  close: 'm5 5 10 10M15 5 5 15',
  back: 'M12.500 4.500 7 10l5.500 5.500',
  copy: 'M7.500 7.500h8.500V16H7.500zM4 12.500V4h8.500',
  check: 'm4 10.500 4 4 8-9',
  plus: 'M10 4.500v11M4.500 10h11',
  warn: 'M10 3.300 17.500 16.500h-15zM10 8.500v3.500m0 2.200v.05',
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
      <path class="mark-direct" d="M9.500 22.500 16 9.500l6.500 13" />
      <path class="mark-relayed" d="M9.500 22.500h13" />
      <circle cx="16" cy="9.500" r="4" />
      <circle cx="9.500" cy="22.500" r="4" />
      <circle class="mark-far" cx="22.500" cy="22.500" r="4" />
    </svg>
  )
}
