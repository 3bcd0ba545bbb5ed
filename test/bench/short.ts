/** Numbers as they are read: three digits that mean something. */
export function short(value: number | undefined | null): string {
  if (value === undefined || value === null || !Number.isFinite(value)) return '-'
  const size = Math.abs(value)
  if (size >= 1_000) return Number(value.toPrecision(3)).toLocaleString('en')
  if (size >= 100) return value.toFixed(0)
  return size >= 10 ? value.toFixed(1) : value.toFixed(2)
}
