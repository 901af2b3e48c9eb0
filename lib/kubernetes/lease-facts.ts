import { apiObject, textAt, type Fields } from './api-object.js';
import { USER_AGENT } from './access.js';
import { LEASE_KIND, leaseIn } from './lease-object.js';

/** What a Lease shows to somebody who takes no part in its election. */
export interface LeaseFacts {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** `''` when nobody holds it. */
  readonly holder: string;
  readonly durationSeconds: number | undefined;
  /** By the clock of whoever wrote it. */
  readonly acquireTime: string | undefined;
  /** By the clock of whoever wrote it. */
  readonly renewTime: string | undefined;
  readonly transitions: number | undefined;
  /** Who asks the holder to hand over. */
  readonly wantedBy: string | undefined;
  /** How the API server chooses the holder, in a coordinated election. */
  readonly strategy: string | undefined;
  /** The name by which the API server knows the client that wrote the record, from its `User-Agent`. */
  readonly writer: string | undefined;
  /** Whether that client is this package. */
  readonly isOurs: boolean;
  /** When the record was stored, in milliseconds since 1970 by the API server's clock, cut to a second. */
  readonly storedAt: number | undefined;
}

/** The facts of a Lease of this namespace and name; `''` is any. @throws UnusableObject for what is no Lease. */
export function factsOf(value: unknown, namespace = '', name = ''): LeaseFacts {
  const object = apiObject(value, { kind: LEASE_KIND.kind, name, namespace });
  const { record, resourceVersion, uid } = leaseIn(object);
  const { manager, time } = lastWriterOf(value) ?? {};
  return {
    // apiObject() has checked that both are texts.
    namespace: object.metadata['namespace'] as string,
    name: object.metadata['name'] as string,
    uid,
    resourceVersion,
    holder: record.holderIdentity,
    durationSeconds: record.leaseDurationSeconds,
    acquireTime: record.acquireTime,
    renewTime: record.renewTime,
    transitions: record.leaseTransitions,
    wantedBy: record.wantedBy,
    strategy: textAt(object.spec ?? {}, 'strategy', 'spec.'),
    writer: manager,
    isOurs: record.process !== undefined || manager === USER_AGENT,
    storedAt: time,
  };
}

interface Writer {
  readonly manager: string | undefined;
  readonly time: number | undefined;
  readonly wroteRecord: boolean;
}

/** The newest writer of the record. A server that does not say who wrote which field shows the newest writer of the Lease. */
function lastWriterOf(value: unknown): Writer | undefined {
  const { metadata } = value as { metadata?: { managedFields?: unknown } | null };
  const { managedFields } = metadata ?? {};
  const writers = (Array.isArray(managedFields) ? (managedFields as unknown[]) : []).map(writerIn);
  const ofRecord = writers.filter(({ wroteRecord }) => wroteRecord);
  const among = ofRecord.length > 0 ? ofRecord : writers;
  return among.reduce<Writer | undefined>(
    (newest, writer) => (newest === undefined || (writer.time ?? 0) >= (newest.time ?? 0) ? writer : newest),
    undefined,
  );
}

function writerIn(entry: unknown): Writer {
  const { manager, time, fieldsV1 } = Object(entry) as Fields;
  const at = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  const spec = Object((Object(fieldsV1) as Fields)['f:spec']) as Fields;
  return {
    manager: typeof manager === 'string' && manager !== '' ? manager : undefined,
    time: Number.isNaN(at) ? undefined : at,
    wroteRecord: 'f:renewTime' in spec || 'f:holderIdentity' in spec,
  };
}
