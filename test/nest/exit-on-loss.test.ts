/** `onLost: 'exit'`, as in client-go. */
import { Test } from '@nestjs/testing';
import { afterEach, beforeEach, expect, it, vi, type MockInstance } from 'vitest';
import { ScriptedElector, type TermEndReason } from '../../lib/election/index.js';
import { LeaderElectionModule, LeaderService, getElectorToken } from '../../lib/index.js';

let exit: MockInstance<typeof process.exit>;

beforeEach(() => {
  exit = vi.spyOn(process, 'exit').mockImplementation((() => undefined) as never);
});

afterEach(() => {
  vi.restoreAllMocks();
});

async function applicationWhere(onLost: 'campaign' | 'exit' | undefined) {
  const elector = new ScriptedElector();
  const module = await Test.createTestingModule({
    imports: [LeaderElectionModule.forRoot({ leaseName: 'x', leaseNamespace: 'y', onLost })],
  })
    .overrideProvider(getElectorToken())
    .useValue(elector)
    .compile();
  const app = module.createNestApplication({ logger: false });
  await app.init();
  elector.grant();
  return { app, elector };
}

it.each<TermEndReason>(['deadline', 'superseded', 'leaseGone', 'released'])(
  'ends the process with code 1 when the term is lost (%s), after the listeners have been called',
  async (reason) => {
    const { app, elector } = await applicationWhere('exit');
    const told: string[] = [];
    app.get(LeaderService).on('stoppedLeading', () => {
      told.push(`told before ${String(exit.mock.calls.length)} exits`);
    });
    elector.revoke(reason);
    expect(exit.mock.calls).toEqual([[1]]);
    expect(told).toEqual(['told before 0 exits']);
    await app.close();
  },
);

it('does not end the process when the term is handed over', async () => {
  const { app, elector } = await applicationWhere('exit');
  await elector.stepDown();
  elector.grant();
  await app.close();
  expect(exit).not.toHaveBeenCalled();
});

it.each([['campaign'], [undefined]] as const)('is not the default (%s)', async (onLost) => {
  const { app, elector } = await applicationWhere(onLost);
  elector.revoke('deadline');
  elector.grant();
  expect(app.get(LeaderService).isLeader()).toBe(true);
  await app.close();
  expect(exit).not.toHaveBeenCalled();
});
