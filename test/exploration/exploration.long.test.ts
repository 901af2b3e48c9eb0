/** Every schedule of a small fleet, further than exploration.test.ts goes, and all planted faults. */
import { expect, it } from 'vitest';
import { planted, theExplorerFinds } from './planted.js';
import { exploreScope } from './run.js';

theExplorerFinds(planted, 'build/explored-all');

it.each([
  { args: ['--electors', '3', '--faults', '1', '--replies', 'prompt'], states: undefined },
  { args: ['--electors', '2', '--faults', '1', '--replies', 'any', '--clocks', 'bound'], states: 100_000 },
  { args: ['--electors', '2', '--faults', '2', '--replies', 'prompt'], states: 150_000 },
  { args: ['--electors', '2', '--faults', '3', '--replies', 'prompt'], states: 50_000 },
])(
  'every schedule keeps the guarantees: $args, up to $states states',
  ({ args, states }) => {
    const bound = states === undefined ? [] : ['--states', String(states)];
    const { ended, story, ...report } = exploreScope([...args, ...bound]);
    console.log(args.join(' '), JSON.stringify(report));
    expect(story?.lines.join('\n')).toBeUndefined();
    expect(ended).toBe(states === undefined ? 'exhausted' : 'states');
  },
  1_200_000,
);
