import { describe, expect, it } from 'vitest';
import { ageText, viewOf } from '../../lib/cli/lease-view.js';
import { table } from '../../lib/cli/table.js';
import { factsOf, type LeaseFacts } from '../../lib/kubernetes/lease-facts.js';

const NOW = Date.parse('2026-11-27T12:00:00Z');
const at = (secondsAgo: number): string =>
  new Date(NOW - secondsAgo * 1_000).toISOString().replace('Z', '000Z');
const object = (spec: object, metadata: object = {}): object => ({
  kind: 'Lease',
  metadata: { name: 'billing', namespace: 'shop', uid: 'u', resourceVersion: '7', ...metadata },
  spec,
});
const writtenBy = (
  manager: string,
  secondsAgo: number,
  fields: object = { 'f:spec': { 'f:renewTime': {} } },
) => ({
  ...{ manager, operation: 'Update', fieldsType: 'FieldsV1' },
  time: new Date(NOW - secondsAgo * 1_000).toISOString(),
  fieldsV1: fields,
});
const held = (secondsAgo: number): object =>
  object(
    {
      ...{ holderIdentity: 'pod-1', leaseDurationSeconds: 15, leaseTransitions: 2 },
      ...{ acquireTime: at(100), renewTime: at(secondsAgo) },
    },
    { managedFields: [writtenBy('kube-scheduler', secondsAgo)] },
  );

describe('the state of a lease', () => {
  it.each<[string, object, string]>([
    ['renewed just now', held(0), 'held'],
    ['renewed within its duration', held(15), 'held'],
    ['in the second that the times do not show', held(16), 'held'],
    ['renewed before that', held(17), 'expired'],
    ['released', object({ holderIdentity: '', renewTime: at(3), leaseTransitions: 2 }), 'released'],
    ['released by a client that removes the times', object({ leaseTransitions: 2 }), 'released'],
    ['created by hand', object({}), 'never held'],
    ['without a duration', object({ holderIdentity: 'x', renewTime: at(3) }), 'unknown'],
    [
      'of a server that does not say when it was stored',
      object({ holderIdentity: 'x', renewTime: at(3), leaseDurationSeconds: 15 }),
      'unknown',
    ],
  ])('%s', (_, lease, state) => {
    expect(viewOf(factsOf(lease), { serverNow: NOW }).state).toBe(state);
  });

  it('does not depend on the clock of the holder', () => {
    const fast = object(
      { holderIdentity: 'x', leaseDurationSeconds: 15, renewTime: at(-3_600) },
      { managedFields: [writtenBy('x', 60)] },
    );
    expect(viewOf(factsOf(fast), { serverNow: NOW }).state).toBe('expired');
  });

  it('counts from the renewal that was seen, if one was', () => {
    const lease = factsOf(held(60));
    expect(viewOf(lease, { serverNow: NOW, renewedAt: NOW - 4_000 })).toMatchObject({
      ...{ state: 'held', renewedAgoMs: 4_000, termAgeMs: 100_000 },
    });
  });

  it('is unknown if the server does not say what time it is', () => {
    expect(viewOf(factsOf(held(0)), { serverNow: undefined }).state).toBe('unknown');
  });
});

describe('who wrote the record', () => {
  const facts = (...managedFields: object[]): LeaseFacts =>
    factsOf(object({ renewTime: at(1) }, { managedFields }));

  it('is not who wrote a label later', () => {
    const label = writtenBy('kubectl-label', 0, { 'f:metadata': {} });
    expect(facts(writtenBy('kube-scheduler', 5), label)).toMatchObject({
      ...{ writer: 'kube-scheduler', isOurs: false, storedAt: NOW - 5_000 },
    });
  });

  it('is the newest of two', () => {
    expect(facts(writtenBy('nestjs-leader', 9), writtenBy('kube-scheduler', 5)).writer).toBe(
      'kube-scheduler',
    );
    expect(facts(writtenBy('nestjs-leader', 1), writtenBy('kube-scheduler', 5)).isOurs).toBe(true);
  });

  it('is this package if the holder noted its process, whatever the server says', () => {
    const spec = { holderIdentity: 'pod-1', renewTime: at(1) };
    const annotations = { 'nestjs-leader/process': `${at(1)} pod-1 {}` };
    expect(factsOf(object(spec, { annotations })).isOurs).toBe(true);
    const old = { 'nestjs-leader/process': `${at(9)} pod-1 {}` };
    expect(factsOf(object(spec, { annotations: old })).isOurs).toBe(false);
  });

  it.each([[null], [[null]], [['x']], [[{ time: 'never', manager: 1, fieldsV1: null }]], [{}]])(
    'is unknown for managedFields %j',
    (managedFields) => {
      expect(factsOf(object({}, { managedFields }))).toMatchObject({
        writer: undefined,
        storedAt: undefined,
      });
    },
  );
});

it.each([
  [0, '0s'],
  [119_999, '119s'],
  [120_000, '2m'],
  [303_000, '5m3s'],
  [3_600_000, '60m'],
  [11_100_000, '3h5m'],
  [86_400_000, '24h'],
  [180_000_000, '2d2h'],
  [1_987_200_000, '23d'],
  [null, '<none>'],
])('an age of %j ms is shown as %s, as kubectl does', (ms, text) => {
  expect(ageText(ms)).toBe(text);
});

it('a table shows no control characters, which could change what is on the screen', () => {
  expect(table(['NAME', 'HOLDER'], [['a', 'evil\u001b[2Jpod\n\u202Ex']])).toEqual([
    'NAME   HOLDER',
    'a      evil?[2Jpod??x',
  ]);
});
