import type { LeaseRecord, MicroTime } from '../../lib/election/index.js';

/** An arbitrary time in the past, which must not matter. */
const OLD_TIME = '2001-02-03T04:05:06.000007Z' as MicroTime;

/** A record as another candidate writes it. */
export function recordOf(holderIdentity: string, changes: Partial<LeaseRecord> = {}): LeaseRecord {
  return {
    holderIdentity,
    leaseDurationSeconds: 15,
    acquireTime: OLD_TIME,
    renewTime: OLD_TIME,
    leaseTransitions: 0,
    ...changes,
  };
}
