/** A hand-over between real processes on a real API server: processes.long.test.ts has more. */
import { expect, it } from 'vitest';
import { onRealApiServer } from '../processes/on-real-api-server.js';
import { CALM } from '../processes/replica-fleet.js';
import { machineNow } from '../processes/replica/messages.js';
import { expectLawful, recordingFleet } from './real-recordings.js';

onRealApiServer('what real processes record', {}, (stage) => {
  it('is replayed, and the rules explain it: a leader is told to stop, and another leads', async () => {
    const fleet = await recordingFleet(stage, 2, CALM);
    const { replica: leader } = await fleet.leader();
    const since = machineNow();
    leader.signal('SIGTERM');
    await leader.exited;
    await fleet.nextTerm(since, leader);
    const used = await expectLawful(fleet);
    expect([...used.keys()]).toEqual(
      expect.arrayContaining([
        'a Lease is created that nobody is owed',
        'a term that was handed over is released',
        'a released lease is claimed',
      ]),
    );
  });
});
