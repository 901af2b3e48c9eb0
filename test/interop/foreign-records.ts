/**
 * The records that other implementations write into a Lease, step by step, as seen on a kube-apiserver. Those that the
 * registries have are run beside ours in foreign-clients.long.test.ts, which checks that this is still true.
 */
import type { LeaseRecord, MicroTime } from '../../lib/election/index.js';

/** The record after one write. `undefined`: the field is absent, whether it was omitted or sent as null. */
export interface Written {
  readonly holderIdentity: 'own' | '' | undefined;
  readonly leaseDurationSeconds: 'own' | 'kept' | 1 | undefined;
  readonly acquireTime: 'now' | 'kept' | undefined;
  readonly renewTime: 'now' | 'kept' | undefined;
  readonly leaseTransitions: 0 | 'kept' | 'one more' | undefined;
}

/** The writes of one client. */
export interface ForeignRecords {
  /** Package and version. */
  readonly client: string;
  /** The record with which it creates the Lease; `undefined`: it waits until somebody else has created one. */
  readonly creates: Written | undefined;
  readonly renews: Written;
  /** The record with which it takes over a Lease that has expired or was released. */
  readonly takesOver: Written;
  /** The record of its release; `undefined`: it never releases, so a follower waits until the lease has expired. */
  readonly releases: Written | undefined;
  /** How many digits after the second its times have. The API server pads them with zeros to six. */
  readonly digits: 3 | 6;
}

const CREATED: Written = {
  holderIdentity: 'own',
  leaseDurationSeconds: 'own',
  acquireTime: 'now',
  renewTime: 'now',
  leaseTransitions: 0,
};
const RENEWED: Written = {
  ...CREATED,
  acquireTime: 'kept',
  leaseTransitions: 'kept',
};
const TAKEN_OVER: Written = { ...CREATED, leaseTransitions: 'one more' };
/** No holder, a duration of one second, equal new times. */
const RELEASED: Written = {
  holderIdentity: '',
  leaseDurationSeconds: 1,
  acquireTime: 'now',
  renewTime: 'now',
  leaseTransitions: 'kept',
};

/** Neither Python client writes transitions. */
const PYTHON = {
  creates: { ...CREATED, leaseTransitions: undefined },
  renews: RENEWED,
  takesOver: { ...CREATED, leaseTransitions: 'kept' },
  releases: undefined,
  digits: 6,
} as const;

export const FOREIGN_RECORDS = {
  'client-go': {
    client: 'client-go v0.36.3',
    creates: CREATED,
    renews: RENEWED,
    takesOver: TAKEN_OVER,
    releases: RELEASED,
    digits: 6,
  },
  fabric8: {
    client: 'io.fabric8:kubernetes-client 8.0.0',
    creates: CREATED,
    renews: RENEWED,
    takesOver: TAKEN_OVER,
    // A merge patch without nulls cannot remove the holder. The result is a lease of one second, and the client leads
    // for part of it: its stop hook runs when that request was answered.
    releases: { ...RELEASED, holderIdentity: 'own' },
    digits: 6,
  },
  'client-java': {
    client: 'io.kubernetes:client-java-extended 25.0.0',
    creates: CREATED,
    renews: RENEWED,
    takesOver: TAKEN_OVER,
    releases: {
      holderIdentity: undefined,
      leaseDurationSeconds: 'kept',
      acquireTime: undefined,
      renewTime: undefined,
      leaseTransitions: 'kept',
    },
    digits: 3,
  },
  kubernetes: { client: 'kubernetes (Python) 37.0.2', ...PYTHON },
  // It writes local times and marks them as UTC: on a machine nine hours east they are nine hours ahead.
  kubernetes_asyncio: { client: 'kubernetes_asyncio (Python) 36.1.0', ...PYTHON },
  // It writes patches without a version: a late renewal changes renewTime in the record of the next holder.
  'kube-leader-election': {
    client: 'kube-leader-election (Rust) 0.44.0',
    creates: CREATED,
    renews: { ...RENEWED, holderIdentity: 'own' },
    takesOver: TAKEN_OVER,
    releases: RELEASED,
    digits: 6,
  },
  kubert: {
    client: 'kubert (Rust) 0.25.0',
    creates: undefined,
    renews: RENEWED,
    takesOver: TAKEN_OVER,
    releases: {
      holderIdentity: undefined,
      leaseDurationSeconds: undefined,
      acquireTime: undefined,
      renewTime: undefined,
      leaseTransitions: 'kept',
    },
    digits: 6,
  },
  codedependant: {
    client: '@codedependant/kubernetes-leader-election 1.0.1',
    // It misspells the duration when it creates a Lease, and does not write it when it renews.
    creates: { ...CREATED, leaseDurationSeconds: undefined, leaseTransitions: undefined },
    renews: { ...RENEWED, leaseDurationSeconds: 'kept' },
    takesOver: { ...CREATED, leaseTransitions: 'kept' },
    releases: {
      holderIdentity: undefined,
      leaseDurationSeconds: 'kept',
      acquireTime: 'kept',
      renewTime: undefined,
      leaseTransitions: 'kept',
    },
    digits: 3,
  },
} as const satisfies Record<string, ForeignRecords>;

/** The record in the Lease after `written`, as we read it: an absent holder is an empty one. */
export function recordAfter(
  written: Written,
  before: LeaseRecord,
  { own, leaseDurationSeconds, now }: { own: string; leaseDurationSeconds: number; now: MicroTime },
): LeaseRecord {
  const duration = written.leaseDurationSeconds;
  const transitions = written.leaseTransitions;
  const timeOf = (name: 'acquireTime' | 'renewTime'): MicroTime | undefined =>
    written[name] === 'now' ? now : written[name] === 'kept' ? before[name] : undefined;
  return {
    holderIdentity: written.holderIdentity === 'own' ? own : '',
    leaseDurationSeconds:
      duration === 'own'
        ? leaseDurationSeconds
        : duration === 'kept'
          ? before.leaseDurationSeconds
          : duration,
    acquireTime: timeOf('acquireTime'),
    renewTime: timeOf('renewTime'),
    leaseTransitions:
      transitions === 'kept'
        ? before.leaseTransitions
        : transitions === 'one more'
          ? (before.leaseTransitions ?? 0) + 1
          : transitions,
  };
}
