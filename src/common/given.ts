/** Options over defaults. */

/** Some of the fields of `T`; undefined stands for the default. */
export type Given<T> = { readonly [K in keyof T]?: T[K] | undefined }

/** The defaults, with what was given in their place. */
export function given<T extends object>(defaults: T, options: Given<T> = {}): T {
  const set = Object.entries(options).filter(([, value]) => value !== undefined)
  return { ...defaults, ...Object.fromEntries(set) }
}
