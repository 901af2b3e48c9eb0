/** A word that stands in every credential of the tests, and nowhere else: where it is seen, a secret has leaked. */
const CANARY = 'canary-f3a9';

/** A token, password or the like for a test. */
export function canary(name: string): string {
  return `${CANARY}-${name}`;
}
