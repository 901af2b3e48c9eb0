/**
 * Answers in the form in which both servers must agree: everything but what is bound to differ, and the wording of a failure. Only
 * that of a 403 must be the same, because clients read in it what is not permitted.
 */

/** A violated rule: what is wrong, and where. */
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

/** The body, parsed, with the order of its names kept; text that is no JSON as it is. */
export function normalBody(text: string): unknown {
  try {
    return normalise(JSON.parse(text), undefined);
  } catch {
    return text;
  }
}

/** One value: uids, times, versions and managers are replaced where metadata and details have them. */
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

/** Each violated rule once, without its wording: the API server tells one as often as it looks. */
function causesOf(causes: readonly Cause[]): Cause[] {
  const byText = new Map(causes.map(({ reason, field }) => [`${field} ${reason}`, { reason, field }]));
  return [...byText.values()];
}
