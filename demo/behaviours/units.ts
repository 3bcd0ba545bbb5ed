/** Units and how to get from one to another. Factors are the legal definitions: inch, pound and US gallon are exact. */

/** A unit of one dimension: `base = value * factor + offset`. */
export interface Unit {
  readonly symbol: string
  readonly dimension: string
  readonly factor: number
  readonly offset: number
}

/** symbol, factor, other spellings in lower case; plurals in -s are understood for spellings of three letters and more. */
type Row = readonly [symbol: string, factor: number, names?: string, offset?: number]

const table: Readonly<Record<string, readonly Row[]>> = {
  length: [
    ['nm', 1e-9, 'nanometre nanometer'],
    ['µm', 1e-6, 'um micrometre micrometer micron'],
    ['mm', 1e-3, 'millimetre millimeter'],
    ['cm', 1e-2, 'centimetre centimeter'],
    ['m', 1, 'metre meter'],
    ['km', 1e3, 'kilometre kilometer'],
    ['in', 0.0254, 'inch inches " ″'],
    ['ft', 0.3048, "foot feet ' ′"],
    ['yd', 0.9144, 'yard'],
    ['mi', 1609.344, 'mile'],
    ['nmi', 1852, 'nauticalmile'],
    ['ly', 9_460_730_472_580_800, 'lightyear'],
  ],
  mass: [
    ['mg', 1e-6, 'milligram'],
    ['g', 1e-3, 'gram'],
    ['kg', 1, 'kilo kilogram'],
    ['t', 1e3, 'tonne ton'],
    ['oz', 0.028349523125, 'ounce'],
    ['lb', 0.45359237, 'lbs pound'],
    ['st', 6.35029318, 'stone'],
  ],
  temperature: [
    ['K', 1, 'k kelvin'],
    ['°C', 1, 'c celsius centigrade degc', 273.15],
    ['°F', 5 / 9, 'f fahrenheit degf', 459.67 * (5 / 9)],
  ],
  time: [
    ['ms', 1e-3, 'millisecond'],
    ['s', 1, 'sec second'],
    ['min', 60, 'minute'],
    ['h', 3600, 'hr hour'],
    ['d', 86_400, 'day'],
    ['wk', 604_800, 'week'],
    ['yr', 31_557_600, 'year'],
  ],
  volume: [
    ['ml', 1e-3, 'millilitre milliliter cm3'],
    ['l', 1, 'litre liter dm3'],
    ['m³', 1e3, 'm3 cubicmetre cubicmeter'],
    ['tsp', 0.00492892159375, 'teaspoon'],
    ['tbsp', 0.01478676478125, 'tablespoon'],
    ['fl oz', 0.0295735295625, 'floz fluidounce'],
    ['cup', 0.2365882365],
    ['pt', 0.473176473, 'pint'],
    ['qt', 0.946352946, 'quart'],
    ['gal', 3.785411784, 'gallon'],
  ],
  area: [
    ['cm²', 1e-4, 'cm2'],
    ['m²', 1, 'm2 sqm squaremetre squaremeter'],
    ['km²', 1e6, 'km2'],
    ['ha', 1e4, 'hectare'],
    ['ft²', 0.09290304, 'ft2 sqft squarefoot squarefeet'],
    ['acre', 4046.8564224],
  ],
  speed: [
    ['m/s', 1, 'mps'],
    ['km/h', 1 / 3.6, 'kmh kph'],
    ['mph', 0.44704, 'mi/h'],
    ['kn', 1852 / 3600, 'knot kt'],
  ],
  data: [
    ['bit', 0.125],
    ['B', 1, 'byte'],
    ['kB', 1e3, 'kb kilobyte'],
    ['MB', 1e6, 'mb megabyte'],
    ['GB', 1e9, 'gb gigabyte'],
    ['TB', 1e12, 'tb terabyte'],
    ['KiB', 1024, 'kib kibibyte'],
    ['MiB', 1024 ** 2, 'mib mebibyte'],
    ['GiB', 1024 ** 3, 'gib gibibyte'],
    ['TiB', 1024 ** 4, 'tib tebibyte'],
  ],
  energy: [
    ['J', 1, 'j joule'],
    ['kJ', 1e3, 'kj kilojoule'],
    ['cal', 4.184, 'calorie'],
    ['kcal', 4184, 'kilocalorie'],
    ['Wh', 3600, 'wh watthour'],
    ['kWh', 3.6e6, 'kwh kilowatthour'],
  ],
  pressure: [
    ['Pa', 1, 'pa pascal'],
    ['hPa', 100, 'hpa hectopascal mbar millibar'],
    ['kPa', 1e3, 'kpa kilopascal'],
    ['bar', 1e5],
    ['psi', 6894.757293168],
    ['atm', 101_325, 'atmosphere'],
  ],
  angle: [
    ['rad', 1, 'radian'],
    ['°', Math.PI / 180, 'deg degree'],
    ['turn', 2 * Math.PI],
  ],
}

const units = new Map<string, Unit>()
for (const [dimension, rows] of Object.entries(table)) {
  for (const [symbol, factor, names = '', offset = 0] of rows) {
    const unit: Unit = { symbol, dimension, factor, offset }
    for (const name of [symbol, ...names.split(' ')]) if (name !== '' && !units.has(name)) units.set(name, unit)
  }
}

/** The dimensions that can be converted. */
export const dimensions: readonly string[] = Object.keys(table)

/** A conversion that cannot be done, in words for the asker. */
export class UnitError extends Error {
  override readonly name = 'UnitError'
}

/** The unit that a word names: its symbol as written, else a spelling in any case, singular or plural. */
export function findUnit(word: string): Unit | undefined {
  const exact = units.get(word.trim())
  if (exact !== undefined) return exact
  const name = word
    .toLowerCase()
    .replace(/^(?:degrees?|°)\s*(?=[cfk])/, '')
    .replaceAll(/[\s.]/g, '')
  return units.get(name) ?? (name.length > 3 && name.endsWith('s') ? units.get(name.slice(0, -1)) : undefined)
}

/** What a conversion asks for. */
export interface Conversion {
  readonly value: number
  readonly from: string
  readonly to: string
}

const amount = String.raw`([-+−]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?)`
const forward = new RegExp(
  String.raw`^(?:please )?(?:convert |what is |what's |how much is )?${amount} ?([^\d\s].*?) (?:to|in|into|as) (\S.*?)\??$`,
  'i',
)
const backward = new RegExp(
  String.raw`^how (?:many|much) (\S.*?) (?:are |is )?(?:in|make|makes) ${amount} ?([^\d\s].*?)\??$`,
  'i',
)

/** The conversion that a sentence asks for, such as `convert 5 km to miles`, or undefined when it asks for none. */
export function readConversion(text: string): Conversion | undefined {
  const plain = text.trim().replaceAll(/\s+/g, ' ').slice(0, 200)
  const ahead = forward.exec(plain)
  if (ahead !== null) return { value: toNumber(ahead[1]), from: ahead[2] ?? '', to: ahead[3] ?? '' }
  const back = backward.exec(plain)
  if (back !== null) return { value: toNumber(back[2]), from: back[3] ?? '', to: back[1] ?? '' }
  return undefined
}

const toNumber = (text = ''): number => Number(text.replace('−', '-'))

/**
 * Converts a value.
 * @throws UnitError for a unit that is not known, two dimensions, or a temperature below absolute zero
 */
export function convert({ value, from, to }: Conversion): {
  readonly value: number
  readonly from: Unit
  readonly to: Unit
} {
  const source = findUnit(from)
  const target = findUnit(to)
  if (source === undefined) throw new UnitError(`I do not know the unit “${from.slice(0, 24)}”`)
  if (target === undefined) throw new UnitError(`I do not know the unit “${to.slice(0, 24)}”`)
  if (source.dimension !== target.dimension) {
    throw new UnitError(`${source.symbol} is a ${source.dimension}, ${target.symbol} a ${target.dimension}`)
  }
  const base = value * source.factor + source.offset
  if (source.dimension === 'temperature' && base < -1e-9) throw new UnitError('That is below absolute zero')
  return { value: (base - target.offset) / target.factor, from: source, to: target }
}
