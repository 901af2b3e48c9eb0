/** A LeaseCandidate as the API server prints it, and as this process writes its own. */
import type { LeaseAddress } from '../lease-object.js';

/** What a candidate is judged by. */
export interface CandidateSpec {
  /** Semantic version of what runs, without a `v`. */
  readonly binaryVersion: string;
  /** Semantic version of what it behaves like, at most `binaryVersion`. */
  readonly emulationVersion: string;
  /** `OldestEmulationVersion`, which the API server knows, or `domain/name`, for which you run the elector. */
  readonly strategy: string;
}

/** The parts of a LeaseCandidate that are looked at. */
export interface CandidateObject {
  readonly metadata: Readonly<Record<string, unknown>> & {
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly leaseName: string;
    readonly pingTime?: string;
    readonly renewTime?: string;
  };
}

/** Whether the elector wants to know if the candidate is there, and was not answered. */
export function isPinged({ spec: { pingTime = '', renewTime = '' } }: CandidateObject): boolean {
  return pingTime > renewTime;
}

/**
 * The candidate `name` for a lease, alive at `date`; on top of `base`, if it is there already. An answer is never older
 * than the ping, which carries the elector's clock: one that is behind by a few seconds would never be elected.
 */
export function candidateObject(
  apiVersion: string,
  name: string,
  lease: LeaseAddress,
  own: CandidateSpec,
  date: number,
  base?: CandidateObject,
): object {
  const { managedFields: _, ...kept }: Readonly<Record<string, unknown>> = base?.metadata ?? {};
  const labels = { ...base?.metadata.labels, ...lease.labels };
  const now = new Date(date).toISOString().replace('Z', '000Z');
  const { pingTime = '' } = base?.spec ?? {};
  return {
    apiVersion,
    kind: 'LeaseCandidate',
    metadata: {
      ...kept,
      name,
      namespace: lease.namespace,
      ...(Object.keys(labels).length > 0 && { labels }),
    },
    spec: { ...base?.spec, leaseName: lease.name, ...own, renewTime: pingTime > now ? pingTime : now },
  };
}
