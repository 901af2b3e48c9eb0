/** Returns a name that no other test uses. */
let given = 0;

export function unusedName(): string {
  given += 1;
  return `lease-${String(given)}`;
}
