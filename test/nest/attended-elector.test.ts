import { expect, it, vi } from 'vitest';
import { ScriptedElector } from '../../lib/election/index.js';
import { AttendedElector } from '../../lib/nest/attended-elector.js';

it('attendants are started once and stopped once, also when their elector is started a second time', async () => {
  const attendant = { start: vi.fn(), stop: vi.fn(() => Promise.resolve()) };
  const elector = new AttendedElector(new ScriptedElector(), [attendant], undefined);
  const stop = new AbortController();
  const running = elector.run(stop.signal, () => undefined);
  await expect(elector.run(stop.signal, () => undefined)).rejects.toMatchObject({
    code: 'LEADER_ALREADY_STARTED',
  });
  expect([attendant.start.mock.calls.length, attendant.stop.mock.calls.length]).toEqual([1, 0]);
  stop.abort();
  await running;
  expect([attendant.start.mock.calls.length, attendant.stop.mock.calls.length]).toEqual([1, 1]);
});

it('attendants of an election that ends before it has begun are not started', async () => {
  const attendant = { start: vi.fn(), stop: vi.fn(), onEvent: vi.fn() };
  const elector = new AttendedElector(new ScriptedElector(), [attendant], undefined);
  await elector.run(AbortSignal.abort(), () => undefined);
  expect([attendant.start, attendant.stop, attendant.onEvent].map(({ mock }) => mock.calls)).toEqual([
    [],
    [],
    [],
  ]);
  expect(elector.state.kind).toBe('stopped');
});
