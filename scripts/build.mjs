/**
 * Builds the package. `build/lib` has a module for each source, for the simulation and its planted faults. `dist` has
 * what users get: the same, joined into a few files as ES modules and as CommonJS (a hundred small files take an
 * application 40 ms longer to load), each with its declarations.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import { packagesIn } from './third-party.mjs';

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

rmSync('dist', { recursive: true, force: true });
rmSync('build/lib', { recursive: true, force: true });
const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.lib.json'], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);

// A bundler of the user's changes functions, but no text.
const thread = resolve('build/lib/kubernetes/exit/exit-thread.js');
const { threadSource } = await import(pathToFileURL(thread).href);
writeFileSync(thread, `export const threadSource = () => ${JSON.stringify(threadSource())};\n`);

/** The files that package.json names under "exports". */
const entries = [
  'index',
  'election/index',
  'kubernetes/index',
  'metrics/prometheus',
  'metrics/opentelemetry',
  'testing',
];
const bundle = await rolldown({
  input: Object.fromEntries(entries.map((entry) => [entry, `build/lib/${entry}.js`])),
  external: /^[^./]/,
  platform: 'node',
});
/** Everything that is written to dist. */
const chunks = [];
for (const format of ['esm', 'cjs']) {
  const dir = `dist/${format}`;
  const { output } = await bundle.write({
    dir,
    format,
    chunkFileNames: 'shared/[name].js',
    // Jest runs CommonJS in a context of its own, where `import()` fails.
    dynamicImportInCjs: false,
  });
  chunks.push(...output);
  for (const declaration of declarations(entries)) {
    mkdirSync(dirname(join(dir, declaration)), { recursive: true });
    cpSync(join('build/lib', declaration), join(dir, declaration));
  }
}
await bundle.close();

// The command line, in a bundle of its own, so that it changes nothing for those who import the package. It has its argument
// parser with it, with its licence: who installs the package gets no dependency.
const commandLine = await rolldown({
  input: { main: 'build/lib/cli/main.js' },
  external: /^(?!commander$)[^./]/,
  platform: 'node',
});
const { output } = await commandLine.write({
  dir: 'dist/cli',
  format: 'esm',
  banner: ({ isEntry }) => (isEntry ? '#!/usr/bin/env node' : ''),
  chunkFileNames: 'shared/[name].js',
});
chunks.push(...output);
await commandLine.close();
chmodSync('dist/cli/main.js', 0o755);
// The package has the type "module", but this half of it is CommonJS.
writeFileSync('dist/cjs/package.json', '{ "type": "commonjs" }\n');

const thirdParty = packagesIn(chunks);
// `npm run sbom` reads it.
writeFileSync(
  'build/bundled.json',
  JSON.stringify(thirdParty.map(({ name, version, license }) => ({ name, version, license }))),
);
if (thirdParty.length > 0)
  writeFileSync(
    'dist/THIRD-PARTY-LICENSES.txt',
    thirdParty.map(({ name, version, text }) => `${name} ${version}\n\n${text}\n`).join('\n\n'),
  );

/** The declarations of the entry points and of what they import. Nobody can import the others. */
function declarations(entries) {
  const found = new Set(entries.map((entry) => `${entry}.d.ts`));
  for (const file of found) {
    const text = readFileSync(join('build/lib', file), 'utf8');
    for (const [, path] of text.matchAll(/(?:from|import)\s*\(?['"](\.[^'"]+)\.js['"]/g))
      found.add(join(dirname(file), `${path}.d.ts`));
  }
  return found;
}
