import { describe, expect, it } from 'vitest';
import { clockCheck, fleetChecks, graceCheck, timingCheck, watchCheck } from '../../lib/cli/doctor/checks.js';
import type { Observed } from '../../lib/cli/doctor/observed.js';
import { LeaseRequestError, resolveElectionOptions, type WallMs } from '../../lib/election/index.js';
import type { LeaseFacts } from '../../lib/kubernetes/lease-facts.js';

const standard = resolveElectionOptions({ leaseName: 'x' }, { leaseNamespace: 'default', identity: 'x' });
const fast = { ...standard, leaseDuration: 3_000, renewDeadline: 2_000, retryPeriod: 500 };
const NOW = Date.parse('2026-11-27T12:00:00Z');
const time = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z');
const lease = (fields: Partial<LeaseFacts> = {}): LeaseFacts => ({
  ...{
    namespace: 'default',
    name: 'x',
    uid: 'u',
    resourceVersion: '7',
    holder: 'pod-1',
    durationSeconds: 15,
  },
  ...{ acquireTime: time(NOW - 9_000), renewTime: time(NOW), transitions: 2, wantedBy: undefined },
  ...{ strategy: undefined, writer: 'nestjs-leader', isOurs: true, storedAt: NOW },
  ...fields,
});

describe('timing', () => {
  it.each<[string, number[], typeof standard, string]>([
    ['quick writes', [4, 5, 9], standard, "ok: The shortest timing that fits: 'fast'."],
    ['writes too slow for fast', [4, 5, 130], fast, "warn: timing: 'standard' (retryPeriod 2 s)"],
    ['writes too slow for standard', [600], standard, "warn: timing: 'patient' (retryPeriod 26 s)"],
    ['writes that outlast the term', [2_000], fast, "fail: timing: 'patient' (retryPeriod 26 s)"],
    ['writes that nothing fits', [7_000], standard, 'warn: Find out why the API server is so slow'],
  ])('%s', (_, writes, times, expected) => {
    const finding = timingCheck({ writes, events: [], how: 'stored' }, times);
    const [level, text = ''] = expected.split(': ', 1).concat(expected.slice(expected.indexOf(': ') + 2));
    expect(finding.level).toBe(level);
    expect(`${finding.seen} ${finding.remedy ?? ''}`).toContain(text);
  });
});

it('calls times too short that are shorter than every choice of timing, and names the choice with its retryPeriod', () => {
  const times = { ...fast, retryPeriod: 200, renewDeadline: 1_000 };
  expect(timingCheck({ writes: [31, 49, 92], events: [], how: 'stored' }, times)).toMatchObject({
    level: 'warn',
    seen: '3 writes took 49 ms (median) to 92 ms. The chosen times are shorter than such writes need: retryPeriod 0.2 s, renewDeadline 1 s.',
    remedy:
      "Choose longer times: timing: 'fast' (retryPeriod 0.5 s) is the shortest choice that fits. Who sets each time: retryPeriod at least 368 ms.",
  });
});

describe('watch', () => {
  const observed: Observed = { problem: undefined, openedMs: 3, shownMs: 4, seen: [] };
  const denied = new LeaseRequestError('LEADER_FORBIDDEN', 'no', { maybeCommitted: false });
  it.each<[string, (number | undefined)[] | undefined, Partial<Observed>, string]>([
    ['shows each write', [5, 6], {}, 'ok'],
    ['shows no write', [undefined], {}, 'fail'],
    ['shows the Lease, where nothing was written', [], {}, 'ok'],
    ['is open, and there is no Lease', undefined, { shownMs: undefined }, 'ok'],
    ['does not open', undefined, { openedMs: undefined, shownMs: undefined }, 'fail'],
    ['is refused', [5], { problem: denied }, 'fail'],
  ])('%s', (_, events, seen, level) => {
    const measured = events && ({ writes: [1], events, how: 'stored' } as const);
    expect(watchCheck(measured, { ...observed, ...seen }).level).toBe(level);
  });

  it.each([
    [
      'refused',
      denied,
      /^If permissions are not ok: grant watch on the Lease\. If they are ok: a proxy or gateway/,
    ],
    [
      'cut off',
      new LeaseRequestError('LEADER_UNREACHABLE', 'reset', { maybeCommitted: false }),
      /^Let the proxies, gateways and load balancers on the way pass a response that does not end/,
    ],
  ])('says what to do about a watch that is %s', (_, problem, remedy) => {
    expect(watchCheck(undefined, { ...observed, problem }).remedy).toMatch(remedy);
  });
});

describe('clock', () => {
  const answer = (date: string | undefined, hereMs: number) => ({
    headers: { date },
    sentOn: (NOW + hereMs) as WallMs,
    answeredOn: (NOW + hereMs + 5) as WallMs,
  });
  const date = new Date(NOW).toUTCString();
  it.each<[string, string | undefined, number, LeaseFacts | undefined, string]>([
    ['agrees', date, 400, undefined, "ok: This machine's wall clock agrees"],
    [
      'agrees, within what seconds show',
      date,
      999,
      lease(),
      'ok: The wall clocks here and of the holder agree',
    ],
    ['is ahead', date, 60_000, lease(), "warn: This machine's wall clock is 59 s ahead of the API server's."],
    ['is behind', date, -60_000, lease(), "warn: This machine's wall clock is 60 s behind the API server's."],
    [
      'of the holder is an hour ahead',
      ...([date, 0, lease({ renewTime: time(NOW + 3_600_000) })] as const),
      'warn: The wall clock of the holder is 3599 s ahead of',
    ],
    ['of a released lease says nothing', date, 0, lease({ holder: '', renewTime: time(0) }), 'ok: '],
    ['of the server is unknown', undefined, 0, lease(), 'skip: '],
    ['of the server is no time', 'soon', 0, lease(), 'skip: '],
  ])('%s', (_, header, hereMs, seen, expected) => {
    const { level, seen: text } = clockCheck(answer(header, hereMs), seen);
    expect(`${level}: ${text}`).toContain(expected);
  });
});

it.each([
  [31, false, 'ok'],
  [30, false, 'warn'],
  [32, true, 'warn'],
  [45, true, 'ok'],
  [0, false, 'warn'],
])('a grace period of %i s, with labels: %s', (graceSeconds, isLabelled, level) => {
  expect(graceCheck({ name: 'pod-1', graceSeconds }, standard, isLabelled).level).toBe(level);
});

describe('the fleet', () => {
  it.each<[string, LeaseFacts[], string[]]>([
    ['is not there', [], ['skip: Nobody holds']],
    ['has released', [lease({ holder: '' })], ['skip: Nobody holds']],
    [
      'renews',
      [lease(), lease({ renewTime: time(NOW + 3_000) })],
      ["ok: 'pod-1' holds the lease 'billing', and renewed it 1 time "],
    ],
    ['has another timing', [lease({ durationSeconds: 30 })], ["warn: 'pod-1' writes a duration of 30 s"]],
    [
      'has a mistyped duration',
      [lease({ durationSeconds: 15_000 })],
      ["warn: 'pod-1' writes a duration of 15000 s"],
    ],
    [
      'has two timings',
      [lease(), lease({ holder: 'pod-2', durationSeconds: 30 })],
      [
        "warn: 'pod-2' writes a duration of 30 s",
        'warn: The Lease was written with 2 durations: 15 s, 30 s.',
      ],
    ],
    [
      'changes hands all the time',
      ['pod-1', 'pod-2', 'pod-3'].map((holder) => lease({ holder })),
      ['warn: The lease changed hands 2 times'],
    ],
    [
      'has namesakes',
      [lease(), lease({ acquireTime: time(NOW + 1) }), lease()],
      ["warn: 'pod-1' claimed the lease 1 times"],
    ],
    [
      'has another client',
      [lease({ isOurs: false, writer: 'kube-scheduler' })],
      ["warn: 'pod-1' is not a process"],
    ],
    [
      'is coordinated, which the command line does not say',
      [lease({ strategy: 'OldestEmulationVersion' })],
      ['warn: The API server chooses the holder'],
    ],
    [
      'is gone, and its lease has expired',
      [lease({ storedAt: NOW - 90_000 })],
      ["fail: 'pod-1' has not renewed the lease 'billing' for 90s"],
    ],
    ['has renewed within its duration', [lease({ storedAt: NOW - 15_000 })], ["ok: 'pod-1' holds"]],
    [
      'has a name that would change the screen',
      [lease({ holder: 'a\u001b[2J\u202Eb\nok    x' })],
      ["ok: 'a?[2J?b?ok    x' holds the lease"],
    ],
    [
      'is of a client whose name would change the screen',
      [lease({ isOurs: false, writer: 'a\u009bb' })],
      ["written by 'a?b'"],
    ],
  ])('%s', (_, seen, expected) => {
    const fleet = { ...standard, isCoordinated: false, serverNow: NOW };
    const found = fleetChecks('billing', { problem: undefined, seen }, fleet).map(
      ({ level, seen: text }) => `${level}: ${text}`,
    );
    expect(found).toHaveLength(expected.length);
    for (const [index, text] of expected.entries()) expect(found[index]).toContain(text);
  });
});

it('the doctor compares what the Lease is with --coordinated', () => {
  const found = (strategy: string | undefined): string[] =>
    fleetChecks(
      'billing',
      { problem: undefined, seen: [lease({ strategy })] },
      { ...standard, isCoordinated: true, serverNow: NOW },
    ).map(({ level, seen }) => `${level}: ${seen}`);
  expect(found('OldestEmulationVersion')).toEqual([
    expect.stringContaining("ok: 'pod-1' holds"),
    expect.stringContaining('ok: The API server chooses the holder'),
  ]);
  expect(found(undefined)).toEqual([expect.stringContaining("warn: The Lease 'billing' has no strategy")]);
});
