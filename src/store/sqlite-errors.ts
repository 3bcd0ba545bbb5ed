/** What SQLite and the file system refuse, as errors of a store. */

import { AfpDataStoreError } from '../common/errors.ts'

/** SQLite's primary result codes, https://sqlite.org/rescode.html. The low byte of an extended code is the primary one. */
const SQLITE_BUSY = 5
const SQLITE_LOCKED = 6
const SQLITE_FULL = 13

export function mapError(cause: unknown, path: string): AfpDataStoreError {
  if (cause instanceof AfpDataStoreError) return cause
  const { code, errcode } = cause as { code?: string; errcode?: number }
  const primary = (errcode ?? 0) & 0xff
  if (primary === SQLITE_BUSY || primary === SQLITE_LOCKED) {
    return new AfpDataStoreError('STORE_IN_USE', `${path} is in use by another store`, { reference: path, cause })
  }
  if (primary === SQLITE_FULL || code === 'ENOSPC' || code === 'EDQUOT') {
    return new AfpDataStoreError('STORE_FULL', `there is no room for ${path} to grow`, { reference: path, cause })
  }
  return failed(`${path} failed: ${(cause as Error).message}`, path, cause)
}

export const failed = (message: string, path: string, cause?: unknown): AfpDataStoreError =>
  new AfpDataStoreError('STORE_FAILED', message, { reference: path, cause })
