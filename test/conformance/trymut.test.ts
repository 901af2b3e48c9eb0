import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { it } from 'vitest';
import type * as Simulation from '../../lib/testing/simulation/index.js';
import { mutants } from '../simulation/mutants.js';
import { plant } from '../simulation/plant.js';
import { Checker, Unexplained } from './checker.js';

it('mutants', async () => {
  console.log('begin'); const most = Number(process.env['SEEDS'] ?? 40);
  for (const [index, mutant] of mutants.entries()) {
    if (process.env['ONLY'] !== undefined && !mutant.what.includes(process.env['ONLY'])) continue;
    const copy = plant(mutant, join('build/mutants/conformance', String(index)));
    console.log('planted'); const { simulate } = (await import(pathToFileURL(resolve(copy, 'testing/simulation/index.js')).href)) as typeof Simulation;
    let found: string | undefined;
    let seed = 0;
    const faults = mutant.strikes?.faults;
    while (found === undefined && seed < (mutant.strikes?.seeds ?? 0) * 0 + most) {
      seed += 1;
      try {
      await simulate({ from: seed, seeds: 1, ...(faults !== undefined && faults.length > 0 && { faults }), traceOf: () => {
        let checker: Checker | undefined;
        return (event, effects, state) => {
          if (found !== undefined) return;
          checker ??= new Checker(state.config);
          try { checker.check({ event, effects, wakeAt: state.wakeAt }); } catch (e) { found = e instanceof Unexplained ? e.message.split('\n')[0] : `ERR ${String((e as Error).stack).slice(0, 300)}`; }
        };
      } }); } catch (e) { found ??= `CRASH ${String(e)}`; }
    }
    console.log(`${mutant.breaks} | ${mutant.what} | ${found === undefined ? 'NOT' : `seed ${seed}: ${found}`}`);
    rmSync(copy, { recursive: true });
  }
}, 3_000_000);
