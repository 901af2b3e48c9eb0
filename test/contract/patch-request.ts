/** Makes a PATCH of one of the three kinds. */
import type { ApiRequest } from './api-connection.js';

export type PatchKind = 'merge-patch' | 'strategic-merge-patch' | 'json-patch';

export function patch(kind: PatchKind, body: unknown): Partial<ApiRequest> {
  return { method: 'PATCH', body, headers: { 'content-type': `application/${kind}+json` } };
}
