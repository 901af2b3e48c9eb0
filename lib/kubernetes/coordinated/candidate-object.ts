import { UnusableObject, textAt, type ApiObject, type Fields } from '../api-object.js';
import type { LeaseAddress } from '../lease-object.js';

/** The versions by which the API server compares candidates. */
export interface CandidateSpec {
  /** Semantic version of the running program, without a `v`. */
  readonly binaryVersion: string;
  /** Semantic version of the behaviour that the program emulates; at most `binaryVersion`. */
  readonly emulationVersion: string;
  /** `OldestEmulationVersion`, which the API server implements, or `domain/name`, for which you run the elector. */
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

/** Parses a LeaseCandidate. @throws UnusableObject for a spec that no API server returns. */
export function candidateIn(object: ApiObject): CandidateObject {
  const { spec = {} } = object;
  const leaseName = textAt(spec, 'leaseName', 'spec.');
  if (leaseName === undefined) throw new UnusableObject('spec.leaseName is missing or empty');
  const [pingTime, renewTime] = [textAt(spec, 'pingTime', 'spec.'), textAt(spec, 'renewTime', 'spec.')];
  return { ...object, spec: { ...spec, leaseName, pingTime, renewTime } };
}

/** Whether the elector has asked if the candidate is alive, and has not been answered. */
export function isPinged({ spec: { pingTime = '', renewTime = '' } }: CandidateObject): boolean {
  return pingTime > renewTime;
}

/**
 * The LeaseCandidate `name` for a lease, renewed at `date`; it replaces `base`, if that exists. `renewTime` is never
 * before `pingTime`, which comes from the elector's clock: otherwise a candidate whose clock is a few seconds slow
 * would never be elected.
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
