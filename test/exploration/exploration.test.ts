/** Every schedule of a small fleet keeps the guarantees, as far as `npm test` goes; exploration.long.test.ts goes further. */
import { readFileSync, rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { planted, theExplorerFinds } from './planted.js';
import { exploreCommand, exploreScope } from './run.js';

/** A bound in case it hangs: a scope takes some ten seconds on an idle machine. */
const BOUND_MS = 600_000;

describe('every schedule', () => {
  it.each([
    {
      args: ['--electors', '2', '--faults', '1', '--replies', 'prompt', '--clocks', 'bound'],
      states: 10_000,
    },
    { args: ['--electors', '3', '--faults', '0', '--replies', 'any'], states: 3_000 },
  ])(
    'of any length keeps the guarantees: $args',
    ({ args, states }) => {
      const { ended, story, ...report } = exploreScope(args);
      console.log(args.join(' '), JSON.stringify(report));
      expect(story?.lines.join('\n')).toBeUndefined();
      expect(ended).toBe('exhausted');
      expect(report.states).toBeGreaterThan(states);
    },
    BOUND_MS,
  );

  it.each([
    { args: ['--electors', '2', '--faults', '1', '--replies', 'any'], depth: 15 },
    { args: ['--electors', '2', '--faults', '2', '--replies', 'prompt'], depth: 11 },
    { args: ['--electors', '3', '--faults', '1', '--replies', 'prompt'], depth: 16 },
  ])(
    'of $depth steps keeps the guarantees: $args',
    ({ args, depth }) => {
      const { ended, story, ...report } = exploreScope([...args, '--depth', String(depth)]);
      console.log(args.join(' '), JSON.stringify(report));
      expect(story?.lines.join('\n')).toBeUndefined();
      expect(ended).toBe('depth');
      expect(report.fairRuns).toBeGreaterThan(0);
    },
    BOUND_MS,
  );
});

describe('the shortest schedule that breaks a guarantee', () => {
  it('is told as text and drawn, here for clocks further apart than the timing tolerates', () => {
    const page = 'build/exploration.html';
    const { status, output } = exploreCommand([
      ...['--electors', '2', '--faults', '1', '--replies', 'prompt'],
      ...['--clocks', 'beyond', '--html', page],
    ]);
    expect(output).toContain('G1 broken: a and b hold the lease at once.');
    expect(output).toMatch(/^ +\d+ {2}a is frozen$/m);
    expect(output).toMatch(/^ +b \| \d+ +write \d+: done, version 20$/m);
    expect(output).toContain('stopped by what was broken');
    expect(status).toBe(1);
    const html = readFileSync(page, 'utf8');
    rmSync(page);
    expect(html).toContain('The shortest schedule: G1 is broken');
    expect(html).toContain('a is frozen');
  });
});

theExplorerFinds(planted.slice(0, 2), 'build/explored');

it.each([
  [['--electors', '4'], /--electors is '4': it must be a whole number, from 2 to 3\./],
  [['--faults', 'many'], /--faults is 'many': it must be a whole number, from 0 to 9\./],
  [['--replies', 'late'], /--replies is 'late': it must be one of prompt, any\./],
  [['--clocks', 'odd'], /--clocks is 'odd': it must be one of even, bound, beyond\./],
  [['--depth', '0'], /--depth is '0': it must be a whole number, at least 1\./],
  [['--minutes', 'long'], /--minutes is 'long': it must be a number above 0\./],
  [['--html', '/nowhere/o.html'], /--html is '\/nowhere\/o\.html': its folder must exist and be writable/],
  [['--seed', '1'], /Unknown option '--seed'/],
])('npm run explore refuses %j', (args, message) => {
  const { status, output } = exploreCommand(args);
  expect(output).toMatch(message);
  expect(status).toBe(2);
});
