import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Disk } from './disk.ts'
import { type Done, promiseOf, readTrace } from './strace.ts'

const escaped = (text: string): string =>
  [...Buffer.from(text)].map(byte => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
const wal = escaped('/s/a.db-wal')

describe('a trace', () => {
  test('is read as what was done, each call when it has returned', () => {
    const steps = readTrace(
      [
        `7 pwrite64(19<${wal}>, "${escaped('page')}", 4, 4096) = 4`,
        `7 fdatasync(19<${wal}> <unfinished ...>`,
        '8 write(5<TCP:[127.0.0.1:1->127.0.0.1:2]>, "\\x01", 1) = 1',
        '7 <... fdatasync resumed>) = 0',
        `7 writev(21<TCPv6:[[::1]:1->[::1]:2]>, [{iov_base="\\x01", iov_len=1}, {iov_base="\\x02", iov_len=1}], 2) = 2`,
        `7 write(1<UNIX-STREAM:[11->12]>, "${escaped('kept 1\n')}", 7) = 7`,
        `7 ftruncate(19<${wal}>, 32) = 0`,
        `7 unlink("${wal}") = 0`,
        // Of a file that is gone, of another descriptor, of calls that failed or did not come to their end: nothing.
        `7 fsync(19<${wal}>(deleted)) = 0`,
        `7 write(3<${escaped('anon_inode:[eventfd]')}>, "\\x01", 1) = 1`,
        `7 fsync(19<${wal}>) = -1 EIO (Input/output error)`,
        `7 unlink("${wal}") = -1 ENOENT (No such file or directory)`,
        `7 pwrite64(19<${wal}>, "\\x00", 1, 0 <unfinished ...>`,
        '7 +++ killed by SIGKILL +++',
        '',
      ].join('\n'),
    )
    const path = '/s/a.db-wal'
    expect(steps).toEqual([
      { thread: 7, what: 'written', path, offset: 4096, bytes: Buffer.from('page') },
      { thread: 8, what: 'sent', length: 1 },
      { thread: 7, what: 'synced', path },
      { thread: 7, what: 'sent', length: 2 },
      { thread: 7, what: 'said', text: 'kept 1\n' },
      { thread: 7, what: 'cut', path, length: 32 },
      { thread: 7, what: 'deleted', path },
      { thread: 7, what: 'synced', path },
    ])
  })

  test('tells how a promise was kept that left', () => {
    const path = 'a.db-wal'
    const written: Done = { what: 'written', path, offset: 0, bytes: new Uint8Array(1) }
    const synced: Done = { what: 'synced', path }
    const sent: Done = { what: 'sent', length: 9 }
    const of = (...steps: Done[]) => promiseOf(steps, ({ what }) => what === 'sent')
    expect(of(written, synced, sent)).toBe('synced')
    expect(of(written, sent, synced)).toBe('written')
    // A sync of what came before, or of another file, is none.
    expect(of(written, synced, written, sent)).toBe('written')
    expect(of(written, { what: 'synced', path: 'a.db' }, sent)).toBe('written')
    expect(of(sent, written, synced)).toBe('nothing')
    expect(of(written, synced)).toBe('nothing left')
  })
})

describe('a disk whose power fails', () => {
  test('has of each file what was in it at its last sync, and of what came since what survives', () => {
    const folder = mkdtempSync(join(tmpdir(), 'disk-'))
    const [old, made, gone] = ['old', 'made', 'gone'].map(name => join(folder, name)) as [string, string, string]
    for (const path of [old, gone]) writeFileSync(path, 'abcdef')
    const write = (path: string, offset: number, text: string): Done => ({
      what: 'written',
      path,
      offset,
      bytes: Buffer.from(text),
    })
    const left = (survives: (n: number) => boolean): string[] => {
      writeFileSync(old, 'abcdef')
      const disk = new Disk([old, made, gone])
      for (const step of [
        write(old, 1, 'B'),
        { what: 'synced', path: old },
        write(old, 2, 'C'),
        { what: 'cut', path: old, length: 4 },
        write(old, 5, 'F'),
        write(made, 0, 'new'),
        { what: 'deleted', path: gone },
        write('another', 0, 'x'),
      ] as Done[])
        disk.apply(step)
      let n = 0
      disk.fail(() => survives(n++))
      return [old, made].map(path => readFileSync(path, 'latin1'))
    }
    expect(left(() => false)).toEqual(['aBcdef', ''])
    rmSync(made)
    expect(left(() => true)).toEqual(['aBCd\0F', 'new'])
    rmSync(made)
    expect(left(n => n === 1)).toEqual(['aBcd', ''])
    expect(() => readFileSync(gone)).toThrow('ENOENT')
    rmSync(folder, { recursive: true })
  })
})
