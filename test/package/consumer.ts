/** Applications outside this repository that install the package as published. */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listenTo } from '../security/canary.js';

const FIXTURES = join(import.meta.dirname, '..', 'consumers');
const OUTPUT_TAIL = 6_000;

interface PackageJson {
  dependencies?: Record<string, string>;
  [other: string]: unknown;
}

/** The output of a command. @throws Error with the end of the output if the command fails. */
export function run(
  cwd: string,
  program: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, NO_COLOR: '1', NODE_ENV: 'test', ...environment };
    const child = listenTo(spawn(program, args, { cwd, env }));
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString('utf8');
      });
    }
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(output);
      else
        reject(
          new Error(
            `${program} ${args.join(' ')} ended with ${String(code)}:\n${output.slice(-OUTPUT_TAIL)}`,
          ),
        );
    });
  });
}

/** The tarball that would be published, in its own folder. The package must have been built. */
export async function packTarball(): Promise<{ path: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'nestjs-leader-pack-'));
  await run(join(FIXTURES, '..', '..'), 'npm', ['pack', '--ignore-scripts', '--pack-destination', folder]);
  const [tarball] = await readdir(folder);
  return { path: join(folder, String(tarball)), remove: () => rm(folder, { recursive: true, force: true }) };
}

/** A copy of a fixture in which the tarball and all other packages are installed. */
export async function installConsumer(
  fixture: string,
  tarball: string,
  packageJson: PackageJson = {},
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `nestjs-leader-${fixture}-`));
  await cp(join(FIXTURES, fixture), folder, { recursive: true });
  const path = join(folder, 'package.json');
  const given = JSON.parse(await readFile(path, 'utf8').catch(() => '{}')) as PackageJson;
  const merged = { private: true, ...given, ...packageJson };
  merged.dependencies = {
    ...given.dependencies,
    ...packageJson.dependencies,
    'nestjs-leader': `file:${tarball}`,
  };
  await writeFile(path, JSON.stringify(merged, undefined, 2));
  await run(folder, 'npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error']);
  return folder;
}

/** The examples of a document by file name: the code block after each `<!-- example: NAME -->`, or another kind of marker. */
export async function examplesIn(document: string, kind = 'example'): Promise<Map<string, string>> {
  const text = await readFile(join(FIXTURES, '..', '..', document), 'utf8');
  const blocks = text.matchAll(new RegExp(`<!-- ${kind}: (\\S+) -->\\s*\`{3}\\w+\\n([\\s\\S]*?)\`{3}`, 'g'));
  return new Map([...blocks].map(([, name, code]) => [String(name), String(code)]));
}

/** The anchors of a document's headings, as GitHub makes them. */
export function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    String(heading)
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
}
