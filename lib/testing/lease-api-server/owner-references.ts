/** Owner references that come twice, which the server drops. */
import type { LeaseObject } from './lease-object.js';

const ADVICE =
  'API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests';

/**
 * The Lease without repeated owners, and what the server warns of.
 *
 * @param where the words for when they were found.
 */
export function withoutRepeatedOwners(
  lease: LeaseObject,
  where: string,
): { lease: LeaseObject; warnings: string[] } {
  const { ownerReferences: owners = [] } = lease.metadata;
  const texts = owners.map((owner) => JSON.stringify(owner));
  const kept = owners.filter((_, index) => texts.indexOf(texts[index] ?? '') === index);
  if (kept.length === owners.length) return { lease, warnings: [] };
  const uids = owners.filter((_, index) => texts.indexOf(texts[index] ?? '') !== index).map(({ uid }) => uid);
  const found = `.metadata.ownerReferences contains duplicate entries${where}`;
  return {
    lease: { ...lease, metadata: { ...lease.metadata, ownerReferences: kept } },
    warnings: [`${found}; ${ADVICE}; duplicate UID(s) observed: ${uids.join(', ')}`],
  };
}
