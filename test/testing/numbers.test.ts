/** Every numeric option of the testing tools refuses what is not a valid number. */
import { expect, it } from 'vitest';
import { ScriptedElector, StaticElector } from '../../lib/election/index.js';
import { LeaseApiServer, SimulatedLease, SimulatedTime, runInFakeTerm, simulate } from '../../lib/testing.js';

const time = new SimulatedTime();
const given = (value: unknown): never => value as never;
const numbers: [string, (value: unknown) => unknown, unknown[]][] = [
  [
    'fencingToken',
    (fencingToken) => runInFakeTerm(given({ fencingToken }), () => 1),
    [1.5, -1, -1n, NaN, '7', null],
  ],
  [
    'drainTimeout',
    (drainTimeout) => new StaticElector(given({ role: 'leader', drainTimeout })),
    [NaN, '1', -1],
  ],
  ['drainTimeout', (drainTimeout) => new ScriptedElector(given({ drainTimeout })), [NaN, '1', Infinity]],
  ['termLimit', (termLimit) => new ScriptedElector(given({ termLimit })), [NaN, '1', -1]],
  ['rate', (rate) => time.clock(given({ rate })), [0, -1, NaN, '1', Infinity]],
  ['wallOffsetMs', (wallOffsetMs) => time.clock(given({ wallOffsetMs })), [NaN, '1']],
  ['latencyMs', (latencyMs) => new SimulatedLease(time, given({ latencyMs })), [NaN, '1', -1]],
  ['advance', (ms) => time.advance(given(ms)), [NaN, '1', -1, Infinity]],
  ['advanceUntil', (ms) => time.advanceUntil(() => true, given(ms)), [NaN, '1', Infinity]],
  [
    'jump',
    (ms) => {
      time.jump(given(ms));
    },
    [NaN, '1', -1],
  ],
  ['seeds', (seeds) => simulate(given({ seeds })), [NaN, '1', 0.5, -1]],
  ['size', (size) => simulate(given({ size })), [NaN, Infinity]],
  ['port', (port) => LeaseApiServer.start(given({ port })), [65_536, -1, NaN, '80', 1.5]],
];

it.each(numbers.flatMap(([name, give, values]) => values.map((value) => [name, value, give] as const)))(
  '%s: %o',
  async (name, value, give) => {
    await expect(Promise.resolve(value).then(give)).rejects.toMatchObject({
      code: 'LEADER_INVALID_OPTIONS',
      message: expect.stringContaining(name),
    });
  },
);

it('the numbers of a fault', async () => {
  const server = await LeaseApiServer.start();
  for (const fault of [
    { times: 0, do: 'dropReply' },
    { times: NaN, do: 'dropReply' },
    { do: { delayReplyMs: '5' } },
    { do: { delayRequestMs: -1 } },
    { do: { answer: 429, retryAfterSeconds: NaN } },
  ])
    expect(() => server.faults.add(fault as never)).toThrow(
      expect.objectContaining({ code: 'LEADER_INVALID_OPTIONS' }),
    );
  await server.stop();
});

it('a fake term takes a number or a bigint', () => {
  const tokenOf = (fencingToken: number | bigint): bigint =>
    runInFakeTerm({ fencingToken }, ({ term }) => term.fencingToken);
  expect([tokenOf(0), tokenOf(7), tokenOf(2n ** 80n)]).toEqual([0n, 7n, 2n ** 80n]);
});
