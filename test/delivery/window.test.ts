import { expect, test } from 'vitest'
import { DuplicateWindow } from '../../src/delivery/window.ts'

test('Of each sender the last 1,024 ids are remembered, whatever others send.', () => {
  const window = new DuplicateWindow()
  for (let i = 0; i < 1_024; i++) expect(window.note('ada', `${i}`)).toBe(true)
  for (let i = 0; i < 5_000; i++) window.note('eve', `${i}`)
  expect(window.note('ada', '0')).toBe(false)
  expect(window.note('bob', '0')).toBe(true)
  expect(window.note('ada', '1024')).toBe(true)
  expect(window.note('ada', '1')).toBe(false)
  expect(window.note('ada', '0')).toBe(true)
})

test('The 256 senders heard last are remembered; the one unheard longest gives way.', () => {
  const window = new DuplicateWindow()
  for (let i = 0; i < 256; i++) window.note(`${i}`, 'x')
  window.note('0', 'y')
  window.note('one more', 'x')
  expect(window.note('0', 'x')).toBe(false)
  expect(window.note('2', 'x')).toBe(false)
  expect(window.note('1', 'x')).toBe(true)
})
