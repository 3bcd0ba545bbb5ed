/** Names: labels for people. Restricted so that two names that look alike are rarely different. */

import { describe } from '../common/check-options.ts'
import { AfpError } from '../common/errors.ts'

/** The longest name, in UTF-16 units. */
export const MAX_NAME_LENGTH = 64

/**
 * Scripts that may stand together in one name, after the "highly restrictive" profile of Unicode TR 39: one script, or
 * the mixtures that Japanese, Korean and Chinese are written in.
 */
const SCRIPT_SETS: readonly RegExp[] = [
  /^[\p{scx=Latn}\p{sc=Zyyy}\p{sc=Zinh}]*$/u,
  // Codes of ISO 15924; Zyyy and Zinh are what several scripts share.
  ...(
    'Latn Hani Hira Kana,Latn Hani Hang,Latn Hani Bopo,Arab,Armn,Beng,Cyrl,Deva,Ethi,Geor,Grek,Gujr,Guru,Hebr,Knda,' +
    'Khmr,Laoo,Mlym,Mong,Mymr,Sinh,Taml,Telu,Thaa,Thai,Tibt'
  )
    .split(',')
    .map(set => new RegExp(`^[${`${set} Zyyy Zinh`.replace(/ ?(\w+)/g, '\\p{sc=$1}')}]*$`, 'u')),
]

/** Why a name is not acceptable, or undefined for one that is. */
export function nameProblem(name: unknown): string | undefined {
  if (typeof name !== 'string' || name.length === 0) return 'a name is a string that is not empty'
  if (name.length > MAX_NAME_LENGTH) return `a name has at most ${MAX_NAME_LENGTH} characters`
  if (name !== name.trim()) return 'a name has no white space at its ends'
  if (!name.isWellFormed() || name !== name.normalize('NFC')) return 'a name is in Unicode normal form NFC'
  if (/[\p{C}\p{Zl}\p{Zp}*]/u.test(name)) return 'a name has no control or format characters and no *'
  if (!SCRIPT_SETS.some(set => set.test(name))) return 'a name keeps to one script'
  return undefined
}

/**
 * `name`, if others will accept it.
 * @throws AfpError INVALID_NAME
 */
export function validateName(name: string): string {
  const problem = nameProblem(name)
  if (problem !== undefined) throw new AfpError('INVALID_NAME', `${describe(name)}: ${problem}`)
  return name
}
