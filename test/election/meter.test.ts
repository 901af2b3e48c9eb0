/** What a meter is told. */
import { expect, it } from 'vitest';
import type { LeaseSnapshot } from '../../lib/election/index.js';
import { takeoverOf } from '../../lib/election/meter.js';
import { recordOf } from './records.js';

const lease = (holder: string, process?: string): LeaseSnapshot => ({
  record: recordOf(holder, process === undefined ? {} : { process }),
  resourceVersion: '5',
  uid: 'u',
});

it.each<[string, LeaseSnapshot | undefined, string | undefined, string]>([
  ['of a new Lease', undefined, undefined, 'none'],
  ['of a released one', lease(''), undefined, 'clean'],
  ['of one that has run out', lease('bing', 'pod 1'), undefined, 'unclean'],
  ['of one whose holder is dead', lease('bing', 'pod 1'), 'pod 1', 'dead'],
  ['of one whose holder before is dead', lease('bing', 'pod 2'), 'pod 1', 'unclean'],
  ['of one whose holder says nothing about itself', lease('bing'), undefined, 'unclean'],
  ['of one with our own name', lease('baz', 'pod 2'), 'pod 1', 'own'],
])('a take-over %s', (_, base, dead, takeover) => {
  expect(takeoverOf(base, 'baz', dead)).toBe(takeover);
});
