/** What may be a name, a label or a key, with the API server's words for what may not. */

const LABEL_CHARACTERS = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const SUBDOMAIN = `${LABEL_CHARACTERS}(\\.${LABEL_CHARACTERS})*`;
const KEY = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const VALUE = `(${KEY})?`;

const SUBDOMAIN_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const KEY_RULE =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const VALUE_RULE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

const MAX_SUBDOMAIN_BYTES = 253;
const MAX_KEY_BYTES = 63;

/** Every rule of RFC 1123 subdomains that `name` breaks. */
export function subdomainViolations(name: string): string[] {
  return [
    // Said of bytes, as everywhere, but in these words.
    ...lengthViolations(name, MAX_SUBDOMAIN_BYTES).map((violation) =>
      violation.replace('bytes', 'characters'),
    ),
    ...patternViolations(name, SUBDOMAIN, SUBDOMAIN_RULE, ['example.com']),
  ];
}

/** The same for the prefix of a generated name, which a name follows, so that it may end in `-`. */
export function subdomainPrefixViolations(prefix: string): string[] {
  // Go's maskTrailingDash.
  return subdomainViolations(prefix.length > 1 && prefix.endsWith('-') ? `${prefix.slice(0, -2)}a` : prefix);
}

/** Every rule of label and annotation keys that `key` breaks. */
export function keyViolations(key: string): string[] {
  const examples = ['MyName', 'my.name', '123-abc'];
  const parts = key.split('/');
  if (parts.length > 2) {
    const rule = withExamples(KEY_RULE, KEY, examples);
    return [
      `a valid label key ${rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  }
  const name = parts.at(-1) ?? '';
  const prefix = parts.length === 2 ? parts[0] : undefined;
  return [
    ...(prefix === undefined ? [] : prefixViolations(prefix)),
    ...(name === '' ? ['name part must be non-empty'] : lengthViolations(name, MAX_KEY_BYTES).map(nameOf)),
    ...patternViolations(name, KEY, KEY_RULE, examples).map(nameOf),
  ];
}

/** Every rule of label values that `value` breaks. */
export function labelValueViolations(value: string): string[] {
  return [
    ...lengthViolations(value, MAX_KEY_BYTES),
    ...patternViolations(value, VALUE, VALUE_RULE, ['MyValue', 'my_value', '12345']),
  ];
}

function prefixViolations(prefix: string): string[] {
  if (prefix === '') return ['prefix part must be non-empty'];
  return subdomainViolations(prefix).map((violation) => `prefix part ${violation}`);
}

function nameOf(violation: string): string {
  return `name part ${violation}`;
}

function lengthViolations(text: string, maxBytes: number): string[] {
  return Buffer.byteLength(text) > maxBytes ? [`must be no more than ${String(maxBytes)} bytes`] : [];
}

function patternViolations(
  text: string,
  pattern: string,
  rule: string,
  examples: readonly string[],
): string[] {
  return new RegExp(`^(${pattern})$`).test(text) ? [] : [withExamples(rule, pattern, examples)];
}

function withExamples(rule: string, pattern: string, examples: readonly string[]): string {
  const shown = examples.map((example) => `'${example}'`).join(',  or ');
  return `${rule} (e.g. ${shown}, regex used for validation is '${pattern}')`;
}
