/** A watch on the stream of a user's own transport. */
import v8 from 'node:v8';
import vm from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { WatchEvent } from '../../lib/election/index.js';
import { KubernetesLeaseLock } from '../../lib/kubernetes/index.js';
import { address, call, leaseOf } from './lease-fixtures.js';

function lockOn(pieces: AsyncIterator<Uint8Array>): KubernetesLeaseLock {
  const stream = { statusCode: 200, headers: {}, [Symbol.asyncIterator]: () => pieces };
  return new KubernetesLeaseLock(
    {
      request: () => Promise.reject(new Error('No request is expected.')),
      stream: () => Promise.resolve(stream),
    },
    address,
  );
}

function piece(event: object): Buffer {
  return Buffer.from(`${JSON.stringify(event)}\n`);
}

describe('a watch on a stream', () => {
  it('ends it when an event cannot be used', async () => {
    let hasEnded = false;
    const lock = lockOn({
      next: () => Promise.resolve({ done: false, value: piece({ type: 'STRANGE', object: leaseOf() }) }),
      return: () => {
        hasEnded = true;
        return Promise.resolve({ done: true, value: undefined });
      },
    });
    await expect(lock.watch(() => undefined, call().signal)).rejects.toMatchObject({
      code: 'LEADER_SERVER_ERROR',
    });
    expect(hasEnded).toBe(true);
  });

  it('keeps neither an event nor its bytes while it waits for the next', async () => {
    v8.setFlagsFromString('--expose-gc');
    const gc = vm.runInNewContext('gc') as () => void;
    const refs: WeakRef<object>[] = [];
    let end: (() => void) | undefined;
    const lock = lockOn({
      next: () => {
        if (refs.length > 0)
          return new Promise((resolve) => {
            end = () => {
              resolve({ done: true, value: undefined });
            };
          });
        const value = piece({ type: 'ADDED', object: leaseOf() });
        refs.push(new WeakRef(value));
        return Promise.resolve({ done: false, value });
      },
    });
    const onEvent = (event: WatchEvent): void => {
      if (event.kind === 'seen') refs.push(new WeakRef(event.snapshot.carried as object));
    };
    const watching = lock.watch(onEvent, call().signal);
    // The second piece is asked for in this turn of the event loop, at whose end a WeakRef lets go of its target.
    await new Promise(setImmediate);
    gc();
    expect(refs.map((ref) => ref.deref())).toEqual([undefined, undefined]);
    end?.();
    await watching;
  });
});
