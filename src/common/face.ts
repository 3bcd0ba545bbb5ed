/**
 * Part of an object as an object of its own. A narrower type alone would keep nobody from the rest: what is handed out
 * has these members and no others.
 */
export function face<T extends object, K extends keyof T & string>(target: T, members: readonly K[]): Pick<T, K> {
  const shown = {} as Pick<T, K>
  for (const name of members) {
    const member: unknown = target[name]
    const value = typeof member === 'function' ? { value: member.bind(target) } : { get: () => target[name] }
    Object.defineProperty(shown, name, { ...value, enumerable: true })
  }
  return shown
}
