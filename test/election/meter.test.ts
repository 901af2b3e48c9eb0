/** What a meter is told. */
import { expect, it } from 'vitest';
import { LeaseRequestError, type LeaseSnapshot } from '../../lib/election/index.js';
import type { ElectionEffect } from '../../lib/election/machine.js';
import { takeoverOf } from '../../lib/election/meter.js';
import { ElectionByHand, writeIn, type WriteEffect } from './election-by-hand.js';
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

const failure = (
  code: 'LEADER_FORBIDDEN' | 'LEADER_SERVER_ERROR' | 'LEADER_REQUEST_INVALID',
): LeaseRequestError =>
  new LeaseRequestError(code, 'planted', { maybeCommitted: code === 'LEADER_SERVER_ERROR' });

it.each<[string, (election: ElectionByHand, renewal: WriteEffect) => readonly ElectionEffect[], string[]]>([
  ['is stored', (election, renewal) => election.written(4_002, renewal), ['renewed']],
  ['is refused', (election, renewal) => election.writeFails(4_002, renewal, failure('LEADER_FORBIDDEN')), ['failed']],
  ['is refused as a conflict, which a read must clear up', (election, renewal) => election.conflicts(4_002, renewal), ['conflict', 'slowPath']],
  ['has an unknown outcome, which a read must clear up', (election, renewal) => election.writeFails(4_002, renewal, failure('LEADER_SERVER_ERROR')), ['failed', 'slowPath']],
  ['is refused as invalid, and was not carried out', (election, renewal) => election.writeFails(4_002, renewal, failure('LEADER_REQUEST_INVALID')), ['failed']],
])('a renewal that %s', (_, happens, told) => {
  const election = new ElectionByHand().leads();
  const effects = happens(election, writeIn(election.at(4_000, { type: 'timePassed' })));
  const facts = effects.flatMap((effect) => (effect.do === 'measure' ? [effect.fact] : []));
  expect(facts.map((fact) => (fact.type === 'renewal' ? fact.outcome : fact.type))).toEqual(told);
}); // prettier-ignore
