/** The three kinds of PATCH that are understood: from a Lease and a body to what is then read as a Lease again. */
import { goQuote } from './go-quote.js';
import { jsonPatch } from './json-patch.js';
import { duplicateNames, membersOf, objectOf, sortedMembers } from './json-tree.js';
import { nodeToJson, parseJson, type JsonNode } from './json-text.js';
import type { LeaseObject } from './lease-object.js';
import { leaseShape } from './lease-shape.js';
import { asLease, isDecodingProblem, type DecodedLease, type FieldValidation } from './body-decoding.js';
import { withoutRepeatedOwners } from './owner-references.js';
import { badRequest, invalid, invalidValue } from './status.js';
import { goMap, strategicMerge, unstructuredComplaint } from './strategic-merge.js';
import { decode } from './typed-decoding.js';

/** A kind of PATCH, by its content type. */
export type PatchType =
  'application/merge-patch+json' | 'application/strategic-merge-patch+json' | 'application/json-patch+json';

/** The real server has apply patches, too. */
const patchTypes: readonly PatchType[] = [
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/json-patch+json',
];

/** The type of a PATCH, if it is understood. */
export function asPatchType(contentType: string): PatchType | undefined {
  const type = contentType.split(';')[0]?.trim();
  return patchTypes.find((known) => known === type);
}

/**
 * Applies a patch.
 *
 * @throws StatusError 400 when it is none; 422 when it cannot be applied or makes something of it that is no Lease
 */
export function patchLease(
  lease: LeaseObject,
  body: string,
  type: PatchType,
  validation: FieldValidation,
): DecodedLease {
  const patch = parsePatch(body, type);
  const patched = applyPatch(parseJson(JSON.stringify(lease)), patch, type);
  const isStrategic = type === 'application/strategic-merge-patch+json';
  const shown = isStrategic ? goMap(patch) : nodeToJson(patched);
  try {
    const { value, strictErrors } = decode(patched, leaseShape);
    const all = validation === 'Ignore' ? [] : [...duplicateNames(patch), ...strictErrors];
    if (validation === 'Strict' && all.length > 0) {
      throw patchInvalid(shown, `strict decoding error: ${all.join(', ')}`);
    }
    const { lease: deduped, warnings } = withoutRepeatedOwners(
      asLease(value),
      ' after mutating admission happens',
    );
    return { lease: deduped, warnings: [...all, ...warnings] };
  } catch (error) {
    if (!isDecodingProblem(error)) throw error;
    throw patchInvalid(shown, isStrategic ? unstructuredComplaint(error) : error.message);
  }
}

function patchInvalid(shown: string, complaint: string): Error {
  return invalid({}, '', [invalidValue('patch', goQuote(shown), complaint)]);
}

function parsePatch(body: string, type: PatchType): JsonNode {
  const prefix = type === 'application/strategic-merge-patch+json' ? '' : 'error decoding patch: ';
  const expected = type === 'application/json-patch+json' ? 'array' : 'object';
  try {
    const patch = parseJson(body);
    if (patch.kind === expected || patch.kind === 'null') return patch;
    const goType = expected === 'array' ? '[]handlers.jsonPatchOp' : 'map[string]interface {}';
    throw new Error(`json: cannot unmarshal ${patch.kind} into Go value of type ${goType}`);
  } catch (error) {
    throw badRequest(prefix + (error instanceof Error ? error.message : String(error)));
  }
}

function applyPatch(target: JsonNode, patch: JsonNode, type: PatchType): JsonNode {
  switch (type) {
    case 'application/merge-patch+json':
      if (patch.kind === 'null') throw badRequest('Invalid JSON Patch');
      return mergePatch(target, patch);
    case 'application/strategic-merge-patch+json':
      return patch.kind === 'null' ? target : strategicMerge(target, patch);
    case 'application/json-patch+json':
      try {
        return jsonPatch(target, patch.kind === 'array' ? patch.items : []);
      } catch (error) {
        throw isDecodingProblem(error) ? badRequest(`error decoding patch: ${error.message}`) : error;
      }
  }
}

/** RFC 7386. What a patch touches comes out sorted. */
function mergePatch(target: JsonNode, patch: JsonNode): JsonNode {
  if (patch.kind !== 'object') return patch;
  const result = membersOf(target);
  for (const { name, value } of patch.members) {
    const merged = mergePatch(result.get(name) ?? { kind: 'null' }, value);
    if (merged.kind === 'null') result.delete(name);
    else result.set(name, merged);
  }
  return sortedMembers(objectOf(result));
}
