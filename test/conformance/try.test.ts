import { it } from 'vitest';
import { simulate } from '../../lib/testing/simulation/index.js';
import { storyTeller } from '../../lib/election/index.js';
import { Checker, Unexplained } from './checker.js';

it('try', async () => {
  const SEEDS = Number(process.env['SEEDS'] ?? 20);
  const from = Number(process.env['FROM'] ?? 1);
  const failures = new Map<string, { count: number; first: string }>();
  const used = new Map<string, number>();
  let steps = 0;
  let checkers: [string, Checker | undefined][] = [];
  let spent = 0;
  const t0 = performance.now();
  await simulate({
    from, seeds: SEEDS,
    election: JSON.parse(process.env['ELECTION'] ?? '{}'),
    traceOf: (name) => {
      let checker: Checker | undefined;
      let failed = false;
      return (event, effects, state) => {
        if (failed) return;
        const t = performance.now();
        if (checker === undefined) { checker = new Checker(state.config); checkers.push([name, checker]); }
        steps += 1;
        if (process.env['WHO'] === name) { (storyTeller((l) => { if (event.type !== 'timePassed') console.log(event.at.now.toFixed(0), l); }))(event, effects, state); console.log('   KNOWN', JSON.stringify(state.sight.observation, (k, v) => k === 'acquireTime' || k === 'process' ? undefined : v)); }
        try { checker.check({ event, effects, wakeAt: state.wakeAt }); }
        catch (error) {
          failed = true;
          if (String(error).includes('who is owed')) { const {sight:{ledger:_l, ...sight}, watch, rhythm, pacing, requests} = state; console.log('STATE', name, event.type, JSON.stringify({sight, watch, rhythm, pacing, requests, wakeAt: state.wakeAt})); }
          const text = error instanceof Unexplained ? error.message.split('\n')[0].replace(/[\d.]{3,}|replica-\d+/g, 'N') : String((error as Error).stack);
          const f = failures.get(text) ?? { count: 0, first: `${name}: ${String((error as Error).message)}` };
          failures.set(text, { ...f, count: f.count + 1 });
        }
        spent += performance.now() - t;
      };
    },
    onSeed: ({ seed }) => {
      for (const f of failures.values()) if (!f.first.startsWith('seed')) f.first = `seed ${seed}, ${f.first}`;
      for (const [, c] of checkers) for (const [k, n] of c.used) used.set(k, (used.get(k) ?? 0) + n);
      checkers = [];
    },
  });
  console.log(`${steps} steps, ${Math.round(spent)} of ${Math.round(performance.now() - t0)} ms`);
  for (const [k, n] of [...used].sort((a, b) => a[1] - b[1])) console.log(n, k);
  for (const [text, { count, first }] of [...failures].sort((a, b) => b[1].count - a[1].count)) console.log('FAIL', count, text, '\n   ', first.slice(0, 3500));
}, 600_000);
