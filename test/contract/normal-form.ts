/** Answers in the form in which both servers must agree: everything but what is bound to differ. */

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
  if (Array.isArray(value)) return value.map((each) => normalise(each, name));
  // Where the server's build registered its types depends on how it was built.
  if (name === 'message') {
    const told = String(value).replace(/ in scheme "[^"]+"/, ' in scheme "…"');
    // A patched Lease is quoted whole, with its uid, times and version.
    const unquoted = told.replace(/Invalid value: "\{.*\}": /, 'Invalid value: "{…}": ');
    // The real server reads and writes more than JSON.
    return unquoted.replace(/(: application\/json)(?:, application\/[\w.]+)+$/, '$1');
  }
  if (name === 'cells') return String(value).replace(/^\d+s$/, '<age>');
  if (name === 'description') return '<description>';
  if (typeof value !== 'object' || value === null) return value;
  const isAbout = name === 'metadata' || name === 'details';
  const entries = Object.entries(value)
    .filter(([key]) => !(isAbout && key === 'managedFields'))
    .map(([key, each]) => [key, (isAbout ? placeholders[key] : undefined) ?? normalise(each, key)]);
  return Object.fromEntries(entries);
}
