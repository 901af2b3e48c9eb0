/** Requests and answers for tests of the lock. */
import type { LeaseCall, LeaseRecord, MicroTime } from '../../lib/election/index.js';

export const address = { name: 'billing', namespace: 'ours', labels: {} };

export const record: LeaseRecord = {
  holderIdentity: 'me',
  leaseDurationSeconds: 15,
  acquireTime: '2026-01-01T00:00:00.000001Z' as MicroTime,
  renewTime: '2026-01-01T00:00:00.000002Z' as MicroTime,
  leaseTransitions: 0,
};

/** A Lease as an API server returns it. */
export function leaseOf(spec: object = record, metadata: object = {}): object {
  return {
    kind: 'Lease',
    apiVersion: 'coordination.k8s.io/v1',
    metadata: { name: 'billing', namespace: 'ours', uid: 'u1', resourceVersion: '7', ...metadata },
    spec,
  };
}

/** A call that nothing ends. */
export function call(parts: Partial<LeaseCall> = {}): LeaseCall {
  return { signal: new AbortController().signal, newConnection: false, ...parts };
}
