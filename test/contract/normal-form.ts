/**
 * Answers in a form in which both servers must agree: without values that always differ, and without the message of a failure. The
 * message of a 403 stays, because clients read in it which permission is missing.
 */

/** A violated rule and its field. */
export interface Cause {
  readonly reason: string;
  readonly field: string;
}

const placeholders: Readonly<Record<string, string>> = {
  uid: '<uid>',
  resourceVersion: '<version>',
  creationTimestamp: '<time>',
  deletionTimestamp: '<time>',
};

/** The body, parsed. A body that is not JSON stays as it is. */
export function normalBody(text: string): unknown {
  try {
    return normalise(JSON.parse(text), undefined);
  } catch {
    return text;
  }
}

/** One value, with placeholders for uids, times and versions of metadata and details, and without managedFields. */
export function normalise(value: unknown, name: string | undefined): unknown {
  if (name === 'causes') return causesOf(value as Cause[]);
  if (Array.isArray(value)) return value.map((each) => normalise(each, name));
  if (name === 'cells') return String(value).replace(/^\d+s$/, '<age>');
  if (name === 'description') return '<description>';
  if (typeof value !== 'object' || value === null) return value;
  const isAbout = name === 'metadata' || name === 'details';
  const isWorded =
    'kind' in value && value.kind === 'Status' && !('reason' in value && value.reason === 'Forbidden');
  const entries = Object.entries(value)
    .filter(([key]) => !(isAbout && key === 'managedFields') && !(isWorded && key === 'message'))
    .map(([key, each]) => [key, (isAbout ? placeholders[key] : undefined) ?? normalise(each, key)]);
  return Object.fromEntries(entries);
}

/** Each violated rule once, without its message: the API server may list a rule several times. */
function causesOf(causes: readonly Cause[]): Cause[] {
  const byText = new Map(causes.map(({ reason, field }) => [`${field} ${reason}`, { reason, field }]));
  return [...byText.values()];
}
