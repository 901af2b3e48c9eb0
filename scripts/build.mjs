/**
 * Builds the package. `build/lib` has a module for each source, for the simulation and its planted faults. `dist` has
 * what users get: the same, joined into a few files as ES modules and as CommonJS (a hundred small files take an
 * application 40 ms longer to load), each with its declarations.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

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
for (const format of ['esm', 'cjs']) {
  const dir = `dist/${format}`;
  await bundle.write({
    dir,
    format,
    chunkFileNames: 'shared/[name].js',
    // Jest runs CommonJS in a context of its own, where `import()` fails.
    dynamicImportInCjs: false,
  });
  cpSync('build/lib', dir, {
    recursive: true,
    filter: (file) => !file.endsWith('.js') && file !== 'build/lib/cli',
  });
}
await bundle.close();

// The command line, in a bundle of its own, so that it changes nothing for those who import the package. It has its argument
// parser with it, with its licence: who installs the package gets no dependency.
const bundled = ['commander', '@bomb.sh/tab'];
const commandLine = await rolldown({
  input: { main: 'build/lib/cli/main.js' },
  external: (id) => /^[^./]/.test(id) && !bundled.some((name) => id === name || id.startsWith(`${name}/`)),
  platform: 'node',
});
await commandLine.write({
  dir: 'dist/cli',
  format: 'esm',
  banner: ({ isEntry }) => (isEntry ? '#!/usr/bin/env node' : ''),
  chunkFileNames: 'shared/[name].js',
});
await commandLine.close();
chmodSync('dist/cli/main.js', 0o755);
writeFileSync('dist/cli/LICENSES.txt', bundled.map(licenceOf).join('\n\n'));

/** What must be shipped with a package that is bundled: who wrote it, and under which licence. */
function licenceOf(name) {
  const folder = resolve('node_modules', name);
  const { version, license, author } = JSON.parse(readFileSync(resolve(folder, 'package.json'), 'utf8'));
  // A package without a licence file has its copyright in package.json; the terms of MIT are below.
  const file = resolve(folder, 'LICENSE');
  const text = existsSync(file) ? readFileSync(file, 'utf8') : `Copyright (c) ${author}\n\n${mitTerms()}`;
  return `${name} ${version} (${license})\n\n${text.trim()}\n`;
}

/** The terms of the MIT licence, which are those of this package. */
function mitTerms() {
  const text = readFileSync('LICENSE', 'utf8');
  return text.slice(text.indexOf('Permission is hereby granted'));
}
// The package has the type "module", but this half of it is CommonJS.
writeFileSync('dist/cjs/package.json', '{ "type": "commonjs" }\n');
