/** Replicas come and go all the time while the API server and the machine are busy, as in a rollout of the application. */
import { afterEach, expect, it } from 'vitest';
import { onRealApiServer } from './on-real-api-server.js';
import { CALM, type ReplicaFleet } from './replica-fleet.js';
import { machineNow } from './replica/messages.js';

const ROUNDS = 5;
/** Clients that send requests without a pause, each over a new connection. */
const BUSY_CLIENTS = 4;

onRealApiServer('joining and leaving under load', {}, (stage) => {
  let busy = true;
  let load: Promise<unknown> = Promise.resolve();
  afterEach(async () => {
    busy = false;
    await load;
  });

  const keepBusy = async (name: string): Promise<void> => {
    const configMaps = '/api/v1/namespaces/default/configmaps';
    for (let count = 1; busy; count += 1) {
      const body = { metadata: { name }, data: { count: String(count) } };
      const answer = await stage.server.client.request('PUT', `${configMaps}/${name}`, { body });
      if (answer.status === 404) await stage.server.client.demand('POST', configMaps, { body });
    }
  };

  /** The leader leaves in the middle of a job while one follower leaves and two replicas join. */
  const round = async (fleet: ReplicaFleet): Promise<void> => {
    const { replica: leader } = await fleet.leader();
    const follower = fleet.replicas.find((replica) => replica.isRunning && replica !== leader);
    leader.order({ do: 'work', drainMs: 100 });
    await leader.worked('started');
    const joining = [fleet.join(), fleet.join()];
    const struckAt = machineNow();
    leader.signal('SIGTERM');
    follower?.signal('SIGTERM');
    const next = await fleet.nextTerm(struckAt);
    expect(next.replica).not.toBe(leader.identity);
    expect(await Promise.all([leader.exited, follower?.exited])).toEqual(['SIGTERM', 'SIGTERM']);
    await Promise.all(joining);
    await fleet.settled();
  };

  it(`${String(ROUNDS)} times two of three leave, including the leader, while two others join`, async () => {
    load = Promise.all(Array.from({ length: BUSY_CLIENTS }, (_, n) => keepBusy(`busy-${String(n)}`)));
    const fleet = await stage.fleet(3, CALM);
    for (let count = 1; count <= ROUNDS; count += 1) await round(fleet);
    await fleet.expectSound();
  });
});
