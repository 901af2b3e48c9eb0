/** Failures of single streams within an HTTP/2 session, and of a session that all requests share. */
import http2 from 'node:http2';
import { expect, it } from 'vitest';
import type { Matches } from '../rig/stream-proxy.js';
import { onRealApiServer } from './on-real-api-server.js';
import { CALM } from './replica-fleet.js';
import type { ReplicaProcess } from './replica-process.js';
import { machineNow } from './replica/messages.js';

const writes: Matches = ({ method }) => method === 'PUT';

/** Matches the next write only. */
function nextWrite(): Matches {
  let isOver = false;
  return (request) => {
    if (isOver || !writes(request)) return false;
    isOver = true;
    return true;
  };
}

onRealApiServer('one HTTP/2 session for all', {}, (stage) => {
  it.each<[string, (leader: ReplicaProcess) => Promise<void> | undefined]>([
    [
      'a stalled stream costs one attempt',
      ({ streams }) => {
        streams?.stall(nextWrite());
        return streams?.next();
      },
    ],
    [
      'a reset after the API server has committed the renewal costs one read',
      ({ streams }) => {
        streams?.reset(writes, http2.constants.NGHTTP2_INTERNAL_ERROR);
        return streams?.next();
      },
    ],
    [
      'GOAWAY costs nothing',
      ({ streams }) => {
        streams?.goAway();
        return undefined;
      },
    ],
    [
      'a session that stays silent, even to PING, costs one attempt',
      ({ proxy }) => {
        proxy.halfOpen();
        return undefined;
      },
    ],
  ])('%s, not the term', async (_, fail) => {
    const fleet = await stage.fleet(2, CALM, { streams: true });
    const { replica: leader, claim } = await fleet.leader();
    leader.order({ do: 'work', drainMs: 0 });
    await leader.worked('started');
    await fail(leader);
    await fleet.renewed(claim);
    await fleet.renewed(claim);
    expect((await fleet.leader()).claim.token).toBe(claim.token);
    await fleet.expectSound();
  });

  it('a follower whose session went silent gives it up with its watch, and sees the next release', async () => {
    const fleet = await stage.fleet(2, CALM, { streams: true });
    const { replica: leader, claim } = await fleet.leader();
    const follower = fleet.replicas.find((replica) => replica !== leader) as ReplicaProcess;
    const { connections } = follower.proxy;
    follower.proxy.halfOpen();
    // The leader keeps renewing. The follower misses the renewals, reads, and detects it.
    while (follower.proxy.connections === connections) await follower.proxy.next('replies');
    await fleet.renewed(claim);
    const releasedAt = machineNow();
    leader.signal('SIGTERM');
    const next = await fleet.nextTerm(releasedAt, leader);
    expect(next.replica).toBe(follower.identity);
    await fleet.expectSound();
  });
});
