import { describe, expect, it } from 'vitest';
import { Growth, type Sample } from './growth.js';

const AT_REST: Sample = {
  heap: 40,
  rss: 120,
  handles: 8,
  timers: 4,
  sockets: 8,
  connections: 1,
  sessions: 2,
  streams: 2,
  processListeners: 25,
  signalListeners: 4,
  functions: 23_000,
};

/** A run of as many samples, each with what `change` says. */
function run(length: number, change: (index: number) => Partial<Sample>): Growth {
  const growth = new Growth();
  for (let index = 0; index < length; index += 1) growth.add({ ...AT_REST, ...change(index) });
  return growth;
}

describe('a process grows', () => {
  it.each<[string, (index: number) => Partial<Sample>, string[]]>([
    ['not, if all stays', () => ({}), []],
    [
      'not, if it holds more for a while',
      (index) => (index === 17 || index === 9 ? { sockets: 50 } : {}),
      [],
    ],
    ['not, if it shrinks', (index) => ({ heap: 60 - index }), []],
    ['not, if the growth is within the bound', (index) => ({ heap: 40 + index / 5 }), []],
    [
      'if one more is held each time',
      (index) => ({ sockets: 8 + index }),
      ['sockets: 9 at the beginning, 24 at the end; at most 3 more are allowed'],
    ],
    [
      'if memory is never given back',
      (index) => ({ heap: 40 + index, rss: 120 + 4 * index }),
      [
        'heap (MiB): 41.0 at the beginning, 56.0 at the end; at most 4 more are allowed',
        'resident memory (MiB): 124 at the beginning, 184 at the end; at most 48 more are allowed',
      ],
    ],
  ])('%s', (_, change, violations) => {
    expect(run(18, change).violations).toEqual(violations);
  });

  it('also in a run of few samples', () => {
    expect(run(2, (index) => ({ timers: 9 * index })).violations).toHaveLength(1);
  });
});

it('the table has the slope for each hour', () => {
  const lines = run(21, (index) => ({ timers: 4 + index }))
    .table(0.5)
    .split('\n');
  expect(lines[0]).toBe('| held | first sixth | last sixth | most | more each hour | allowed |');
  expect(lines.find((line) => line.includes('timers'))).toBe('| timers | 5 | 22 | 24 | 40.0 | 4 |');
  expect(lines.find((line) => line.includes('sockets'))).toBe('| sockets | 8 | 8 | 8 | 0.0 | 3 |');
});
