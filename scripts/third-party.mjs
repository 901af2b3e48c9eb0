/** Packages of others that the build has put into the files of dist, with the licences that must be shipped with them. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The packages whose modules are in these chunks of rolldown. @throws Error for a package that names no licence. */
export function packagesIn(chunks) {
  const modules = chunks.flatMap((chunk) => Object.keys(chunk.modules ?? {}));
  const folders = new Set(
    modules.flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(path) ?? []),
  );
  return [...folders].map((folder) => {
    const { name, version, license, author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    if (license === undefined)
      throw new Error(`${name} is bundled but names no licence in its package.json: do not bundle it.`);
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    const text =
      file === undefined
        ? `Copyright (c) ${author?.name ?? author}\n\n${termsOf(name, license)}`
        : readFileSync(join(folder, file), 'utf8').trim();
    return { name, version, license, text };
  });
}

/** The terms of a licence whose text the package does not contain. @throws Error for any but MIT, which is ours, too. */
function termsOf(name, license) {
  if (license !== 'MIT')
    throw new Error(`${name} is bundled without the text of its licence, ${license}: add it.`);
  const text = readFileSync('LICENSE', 'utf8');
  return text.slice(text.indexOf('Permission is hereby granted')).trim();
}
