/** A follower rehearses a take-over on a Lease in memory, because it may do a real one only once. */
import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { KubernetesLeaseLock, type ApiConnection } from '../../lib/kubernetes/index.js';
import { REHEARSED, rehearse } from '../../lib/kubernetes/rehearsal.js';

/** Creates the lock, and keeps its connection. */
function lockThatTells(): {
  lockOn: (connection: ApiConnection) => KubernetesLeaseLock;
  bodies: object[];
  lease: () => Promise<unknown>;
} {
  let given: ApiConnection | undefined;
  const bodies: object[] = [];
  return {
    bodies,
    lockOn: (connection) => {
      given = connection;
      const watched: ApiConnection = {
        request: (request) => {
          if (request.body !== undefined) bodies.push((request.body as { spec: object }).spec);
          return connection.request(request);
        },
        stream: (path, signal) => connection.stream(path, signal),
      };
      return new KubernetesLeaseLock(watched, REHEARSED);
    },
    lease: async () => {
      const signal = new AbortController().signal;
      const answer = await given?.request({ method: 'GET', path: '', signal, newConnection: false });
      return JSON.parse(answer?.text ?? '') as unknown;
    },
  };
}

describe('a rehearsal', () => {
  it('takes over when the holder has released the Lease, and hands it over', async () => {
    const { lockOn, bodies, lease } = lockThatTells();
    await rehearse(lockOn, new AbortController().signal);
    expect(bodies).toMatchObject([
      { holderIdentity: 'the next leader', leaseTransitions: 1 },
      { holderIdentity: '', leaseDurationSeconds: 1 },
    ]);
    expect(await lease()).toMatchObject({ spec: { holderIdentity: '', leaseTransitions: 1 } });
  });

  it('leaves no listener behind, and can be repeated', async () => {
    const { signal } = new AbortController();
    for (let times = 0; times < 3; times += 1) await rehearse(lockThatTells().lockOn, signal);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('ends when its signal fires', async () => {
    const stop = new AbortController();
    const { lockOn, bodies } = lockThatTells();
    const rehearsed = rehearse((connection) => {
      const lock = lockOn(connection);
      lock.watch = async (onEvent, signal) => {
        onEvent({ kind: 'opened' });
        await new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => {
            resolve();
          });
          stop.abort();
        });
      };
      return lock;
    }, stop.signal);
    await expect(rehearsed).resolves.toBeUndefined();
    expect(bodies).toEqual([]);
  });
});
