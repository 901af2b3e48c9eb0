/** Packages of others that the build has put into the files of dist, with the licences that must be shipped with them. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The packages whose modules are in these chunks of rolldown. @throws Error for a package without a licence file. */
export function packagesIn(chunks) {
  const modules = chunks.flatMap((chunk) => Object.keys(chunk.modules ?? {}));
  const folders = new Set(
    modules.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path) ?? []),
  );
  return [...folders].map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    if (file === undefined)
      throw new Error(
        `${name} is bundled but has no licence file, which must be shipped: do not bundle it, or add its licence by hand.`,
      );
    return { name, version, license, text: readFileSync(join(folder, file), 'utf8').trim() };
  });
}
