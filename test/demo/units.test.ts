import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { convert, findUnit, readConversion, UnitError } from '../../demo/behaviours/units.ts'

const read = (text: string): string => {
  const conversion = readConversion(text)
  if (conversion === undefined) return 'nothing'
  const { value, to } = convert(conversion)
  return `${Number(value.toPrecision(7))} ${to.symbol}`
}

describe('the unit converter', () => {
  it.each([
    ['convert 5 km to miles', '3.106856 mi'],
    ['5km in mi', '3.106856 mi'],
    ['please convert 5 kilometres into Miles?', '3.106856 mi'],
    ['how many cups in 2 litres?', '8.453506 cup'],
    ['what is 6 feet in cm', '182.88 cm'],
    ['100 °F in °C', '37.77778 °C'],
    ['-40 fahrenheit to celsius', '-40 °C'],
    ['−40 C to F', '-40 °F'],
    ['0 degrees celsius in kelvin', '273.15 K'],
    ['1 stone to kg', '6.350293 kg'],
    ['90 km/h to m/s', '25 m/s'],
    ['1 GiB to MB', '1073.742 MB'],
    ['180 degrees to rad', '3.141593 rad'],
    ['1 hour as seconds', '3600 s'],
    ['1 fl oz to ml', '29.57353 ml'],
  ])('reads %j as %s', (text, answer) => {
    expect(read(text)).toBe(answer)
  })

  it.each(['hello', '5', '5 km', 'km to miles', '1 + 1'])('finds no conversion in %j', text => {
    expect(read(text)).toBe('nothing')
  })

  it('tells MB from Mb by case only where the symbol is exact', () => {
    expect(findUnit('MB')?.factor).toBe(1e6)
    expect(findUnit('megabytes')?.symbol).toBe('MB')
    expect(findUnit('mm')?.dimension).toBe('length')
  })

  it('refuses unknown units, two dimensions and temperatures below absolute zero, each in words', () => {
    expect(() => convert({ value: 1, from: 'parsnip', to: 'm' })).toThrow('“parsnip”')
    expect(() => convert({ value: 1, from: 'm', to: 'constructor' })).toThrow(UnitError)
    expect(() => convert({ value: 1, from: 'km', to: 'kg' })).toThrow('km is a length, kg a mass')
    expect(() => convert({ value: -1, from: 'K', to: 'C' })).toThrow('absolute zero')
  })

  it('comes back to where it started when it converts there and back', () => {
    const pairs: [string, string][] = [
      ['km', 'mi'],
      ['kg', 'lb'],
      ['c', 'f'],
      ['l', 'gal'],
      ['bar', 'psi'],
      ['acre', 'm2'],
    ]
    fc.assert(
      fc.property(fc.constantFrom(...pairs), fc.double({ min: 0, max: 1e9, noNaN: true }), ([a, b], value) => {
        const there = convert({ value, from: a, to: b })
        const back = convert({ value: there.value, from: b, to: a })
        expect(Math.abs(back.value - value)).toBeLessThanOrEqual(1e-9 * Math.max(1, value))
      }),
    )
  })
})
