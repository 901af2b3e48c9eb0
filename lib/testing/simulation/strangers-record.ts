import type { LeaseRecord } from '../../election/index.js';
import type { SimulatedTime } from '../simulated-time.js';
import { microTimeOf } from './micro-time.js';

/** Somebody who is in no election writes itself into the Lease. */
export function strangersRecord(
  time: SimulatedTime,
  previous: LeaseRecord,
  leaseDuration: number,
): LeaseRecord {
  const now = microTimeOf(time.clock());
  return {
    holderIdentity: 'stranger',
    leaseDurationSeconds: leaseDuration / 1000,
    acquireTime: now,
    renewTime: now,
    leaseTransitions: (previous.leaseTransitions ?? 0) + 1,
  };
}
