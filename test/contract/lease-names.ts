/** Names that no other row has. */
let given = 0;

export function unusedName(): string {
  given += 1;
  return `lease-${String(given)}`;
}
