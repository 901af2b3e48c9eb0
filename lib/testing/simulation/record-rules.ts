import { sameRecord, type LeaseRecord, type LeaseSnapshot } from '../../election/internal.js';
import type { Guarantee } from './witness.js';

/** The options of a process that its records depend on. */
export interface RecordRules {
  readonly identity: string;
  /** Milliseconds. */
  readonly leaseDuration: number;
  readonly lockDelay: number;
  readonly spread: boolean;
}

/** A rule that a stored record breaks. */
export interface BrokenRule {
  readonly guarantee: Guarantee;
  readonly what: string;
}

/**
 * The first rule that a change of the Lease breaks (ARCHITECTURE.md, rule 11); undefined if it breaks none. A process claims,
 * renews, releases, or asks for the lease, and may change nothing else. What others have written into the Lease stays.
 *
 * @param isOwn the process wrote the record before.
 */
export function brokenRule(
  before: LeaseSnapshot | undefined,
  after: LeaseSnapshot,
  rules: RecordRules,
  isOwn: boolean,
): BrokenRule | undefined {
  if (before !== undefined && before.carried !== after.carried)
    return { guarantee: 'G7', what: 'does not keep what else the Lease contains' };
  const previous = before?.record;
  const { record } = after;
  const written = kindOf(previous, record, rules, isOwn);
  if (written === undefined)
    return { guarantee: 'G1', what: `changes a record that it did not write, into ${text(record)}` };
  const expected = EXPECTED[written](previous ?? NONE, record, rules);
  const wrong = Object.entries(expected).filter(
    ([field, value]) => record[field as keyof LeaseRecord] !== value,
  );
  if (wrong.length === 0) return undefined;
  return {
    guarantee: written === 'release' ? 'G6' : 'G1',
    what: `writes a ${written} with other values than ${text(Object.fromEntries(wrong))}: ${text(record)}`,
  };
}

type Written = 'claim' | 'renewal' | 'release' | 'expiry' | 'request';

const NONE: LeaseRecord = {
  holderIdentity: '',
  leaseDurationSeconds: undefined,
  acquireTime: undefined,
  renewTime: undefined,
  leaseTransitions: undefined,
};

function kindOf(
  previous: LeaseRecord | undefined,
  record: LeaseRecord,
  { identity, lockDelay }: RecordRules,
  isOwn: boolean,
): Written | undefined {
  if (previous !== undefined && sameRecord(previous, record)) return 'request';
  if (record.holderIdentity === '') return isOwn ? 'release' : undefined;
  if (record.holderIdentity !== identity) return undefined;
  if (!isOwn || previous?.acquireTime !== record.acquireTime) return 'claim';
  // A process that exits lets its lease run out, if others are to wait for `lockDelay`.
  return record.leaseDurationSeconds === 1 && lockDelay > 0 ? 'expiry' : 'renewal';
}

/** What each kind of record must say, apart from times that nobody can foresee. */
const EXPECTED: Record<
  Written,
  (
    previous: LeaseRecord,
    record: LeaseRecord,
    rules: RecordRules,
  ) => Partial<Record<keyof LeaseRecord, unknown>>
> = {
  claim: (previous, _, { identity, leaseDuration }) => ({
    leaseDurationSeconds: leaseDuration / 1000,
    leaseTransitions: transitionsAfter(previous, identity),
    wantedBy: undefined,
  }),
  renewal: (previous, _, { leaseDuration }) => ({
    leaseDurationSeconds: leaseDuration / 1000,
    leaseTransitions: previous.leaseTransitions,
    wantedBy: previous.wantedBy,
  }),
  release: (previous, { renewTime }, { spread }) => ({
    leaseDurationSeconds: 1,
    acquireTime: renewTime,
    leaseTransitions: previous.leaseTransitions,
    process: undefined,
    note: undefined,
    // Only candidates leave the lease to the one that has asked for it.
    wantedBy: spread || previous.note?.priority !== undefined ? previous.wantedBy : undefined,
  }),
  expiry: (previous) => ({
    leaseTransitions: previous.leaseTransitions,
    process: undefined,
    note: undefined,
  }),
  request: (previous, _, { identity }) => ({
    wantedBy: identity,
    process: previous.process,
    note: previous.note,
  }),
};

function transitionsAfter(
  { holderIdentity, acquireTime, leaseTransitions }: LeaseRecord,
  identity: string,
): number {
  // The first holder of a new Lease counts none.
  if (leaseTransitions === undefined) return 0;
  return holderIdentity === identity && acquireTime !== undefined ? leaseTransitions : leaseTransitions + 1;
}

function text(record: object): string {
  return JSON.stringify(record, (_, value: unknown) => (value === undefined ? null : value));
}
