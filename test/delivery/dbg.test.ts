import { it } from 'vitest'
import { simulate } from './simulation.ts'
it('x', async () => { for (let s = 5; s < 30; s++) { 
  const o = await Promise.race([simulate(s), new Promise<any>(r => setTimeout(() => r({ faults: ['late'] }), 100_000))]); console.log(JSON.stringify({ ...o, faults: o.faults.slice(0, 6).map((f: string) =>f.slice(0,300)), n: o.faults.length })) } }, 300_000)
