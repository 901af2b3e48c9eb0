/** A LeaseCandidate as the API server prints it, and as this process writes its own. */
import { UnusableObject, textAt, type ApiObject, type Fields } from '../api-object.js';
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

/** A LeaseCandidate: an object whose spec says for which lease it stands. */
export type CandidateObject = ApiObject & {
  readonly spec: Fields & {
    readonly leaseName: string;
    readonly pingTime?: string | undefined;
    readonly renewTime?: string | undefined;
  };
};

/** What a LeaseCandidate says. @throws UnusableObject for a spec that no API server prints. */
export function candidateIn(object: ApiObject): CandidateObject {
  const { spec = {} } = object;
  const leaseName = textAt(spec, 'leaseName', 'spec.');
  if (leaseName === undefined) throw new UnusableObject('spec.leaseName is missing or empty');
  const [pingTime, renewTime] = [textAt(spec, 'pingTime', 'spec.'), textAt(spec, 'renewTime', 'spec.')];
  return { ...object, spec: { ...spec, leaseName, pingTime, renewTime } };
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
