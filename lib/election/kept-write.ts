/** A write, and whether what the server answers proves that it was done. */
import { LeaseRequestError } from './errors.js';
import {
  isNewer,
  type LeaseCall,
  type LeaseLock,
  type LeaseSnapshot,
  type WriteOutcome,
} from './lease-lock.js';
import { sameRecord, type LeaseRecord } from './lease-record.js';

/**
 * Writes `record` on top of `base`, or as the first there is.
 *
 * @throws LeaseRequestError also when the write is answered as done, and what comes back is not what was written: a mutating
 * admission webhook has changed it, or a proxy answers with an old object. Such a write proves nothing.
 */
export async function writeRecord(
  lock: LeaseLock,
  base: LeaseSnapshot | undefined,
  record: LeaseRecord,
  call: LeaseCall,
): Promise<WriteOutcome> {
  const outcome =
    base === undefined ? await lock.create(record, call) : await lock.update(base, record, call);
  if (outcome.kind === 'conflict') return outcome;
  const fields = changedFields(base, record, outcome.snapshot);
  if (fields.length === 0) return outcome;
  const error = notKept(lock, fields);
  keptInstead.set(error, outcome.snapshot.resourceVersion);
  throw error;
}

const keptInstead = new WeakMap<LeaseRequestError, string>();

/** In which version the server keeps what it made of a write that was not kept; undefined of any other failure. */
export function versionKeptInstead(error: LeaseRequestError): string | undefined {
  return keptInstead.get(error);
}

const comparedFields = [
  'holderIdentity',
  'leaseDurationSeconds',
  'acquireTime',
  'renewTime',
  'leaseTransitions',
] as const;

/** In which fields the answer to a write is not what was written. */
function changedFields(
  base: LeaseSnapshot | undefined,
  record: LeaseRecord,
  { record: kept, uid, resourceVersion }: LeaseSnapshot,
): string[] {
  const fields: string[] = comparedFields.filter((field) => kept[field] !== record[field]);
  // The note of whoever asks for the lease; that nobody asks any more is left to the holder.
  if (record.wantedBy !== undefined && kept.wantedBy !== record.wantedBy) fields.push('wantedBy');
  if (base === undefined) return fields;
  if (uid !== base.uid) fields.push('uid');
  // A write that changes nothing gets no version.
  const mayBeTheSame = sameRecord(base.record, record) && resourceVersion === base.resourceVersion;
  if (!mayBeTheSame && !isNewer(resourceVersion, base.resourceVersion)) fields.push('resourceVersion');
  return fields;
}

function notKept(lock: LeaseLock, fields: readonly string[]): LeaseRequestError {
  return new LeaseRequestError(
    'LEADER_WRITE_NOT_KEPT',
    `The API server answered that the lease ${lock.describe()} was written, but other values than those written came ` +
      `back in ${fields.join(', ')}. So the write proves nothing, and is made again after a pause. A mutating admission ` +
      `webhook that changes Leases is the likely cause: except leases.coordination.k8s.io from it.`,
    { maybeCommitted: true },
  );
}
