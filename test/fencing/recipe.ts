/** The code of the recipe, taken from the page, so that the tests run what users copy. */
import { readFileSync } from 'node:fs';

/** The processes of these tests run in the repository's folder, as the tests do. */
const PAGE = 'docs/recipes/fencing.md';

/** The code block after each `<!-- example: NAME -->`, by name. */
export const examples: ReadonlyMap<string, string> = new Map(
  [...readFileSync(PAGE, 'utf8').matchAll(/<!-- example: (\S+) -->\s*```\w+\n([\s\S]*?)```/g)].map(
    ([, name, code]) => [String(name), String(code)],
  ),
);

/** @throws Error if the page does not contain the example. */
export function example(name: string): string {
  const code = examples.get(name);
  if (code === undefined) throw new Error(`${PAGE} has no example '${name}'.`);
  return code;
}

/** The statement without its guard, as somebody without a token would write it. */
export function unguarded(statement: string): string {
  const bare = statement.replace(/(\s+AND fencing_token <= :token|\nWHERE \w+\.fencing_token <= .*)/, '');
  if (bare === statement) throw new Error(`No guard was found in:\n${statement}`);
  return bare;
}
