const number = '(?:0|[1-9]\\d*)';
const identifier = `(?:${number}|\\d*[a-zA-Z-][0-9a-zA-Z-]*)`;
const pattern = new RegExp(
  `^(${number})\\.(${number})\\.(${number})(?:-(${identifier}(?:\\.${identifier})*))?(?:\\+[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?$`,
);

export function isSemanticVersion(value: unknown): value is string {
  return typeof value === 'string' && pattern.test(value);
}

/** Compares the precedence of two semantic versions: below 0 if `a` is lower than `b`, above 0 if it is higher, 0 if they are equal. */
export function compareVersions(a: string, b: string): number {
  const [, ...left] = pattern.exec(a) ?? [];
  const [, ...right] = pattern.exec(b) ?? [];
  const core = compareLists(left.slice(0, 3), right.slice(0, 3));
  if (core !== 0) return core;
  // A version with a pre-release comes before the one without.
  if (left[3] === undefined || right[3] === undefined)
    return Number(right[3] !== undefined) - Number(left[3] !== undefined);
  return compareLists(left[3].split('.'), right[3].split('.'));
}

function compareLists(a: readonly (string | undefined)[], b: readonly (string | undefined)[]): number {
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const order = compareIdentifiers(a[index] ?? '', b[index] ?? '');
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** Compares identifiers: numbers by value, and lower than any text; texts by their characters. */
function compareIdentifiers(a: string, b: string): number {
  if (a === b) return 0;
  const [aIsNumber, bIsNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (aIsNumber && bIsNumber) return BigInt(a) < BigInt(b) ? -1 : 1;
  if (aIsNumber !== bIsNumber) return aIsNumber ? -1 : 1;
  return a < b ? -1 : 1;
}
