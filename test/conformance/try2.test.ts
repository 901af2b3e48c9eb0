import { readFileSync, readdirSync } from 'node:fs';
import { it } from 'vitest';
import { played } from '../election/story-language.js';
import { Checker } from './checker.js';
it('stories', () => {
  const used = new Map<string, number>();
  for (const name of readdirSync('test/election/testdata').filter((n) => n.endsWith('.txt'))) {
    let checker: Checker | undefined;
    try {
      played(readFileSync(`test/election/testdata/${name}`, 'utf8'), (event, effects, state) => {
        checker ??= new Checker(state.config);
        checker.check({ event, effects, wakeAt: state.wakeAt });
      });
    } catch (e) { console.log('FAIL', name, String((e as Error).message).slice(0, 2500)); }
    for (const [k, n] of checker?.used ?? []) used.set(k, (used.get(k) ?? 0) + n);
  }
  for (const [k, n] of [...used].sort((a, b) => a[1] - b[1])) console.log(n, k);
});
