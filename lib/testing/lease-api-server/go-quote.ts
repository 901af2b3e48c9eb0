/** Text as Go's `%q` prints it: the API server quotes what it complains about this way. */
const namedEscapes: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '"': '\\"',
  '\\': '\\\\',
};

/** `text` in double quotes. */
export function goQuote(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  const escaped = text.replace(/["\\\x00-\x1f\x7f]/g, (character) => {
    const named = namedEscapes[character];
    return named ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return `"${escaped}"`;
}
