/** The packed tarball in applications as users have them. */
import { spawn } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LeaseApiServer } from '../../lib/testing.js';
import { installConsumer, packTarball, readmeExamples, run } from './consumer.js';

const folders: string[] = [];
let tarball: Awaited<ReturnType<typeof packTarball>>;

async function consumer(...args: Parameters<typeof installConsumer>): Promise<string> {
  const folder = await installConsumer(...args);
  folders.push(folder);
  return folder;
}

beforeAll(async () => {
  tarball = await packTarball();
});

afterAll(async () => {
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
  await tarball.remove();
});

describe('the tarball', () => {
  it('contains what users need and nothing else', async () => {
    const files = (await run('.', 'tar', ['-tzf', tarball.path])).trim().split('\n');
    const others = files.filter((file) => !/^package\/dist\/(esm|cjs)\/.*\.(js|d\.ts)$/.test(file)).sort();
    expect(others).toEqual([
      'package/CHANGELOG.md',
      'package/LICENSE',
      'package/README.md',
      'package/dist/cjs/package.json',
      'package/package.json',
    ]);
  });
});

describe('a stock Nest 11 application with Jest and ts-jest untouched', () => {
  it('tests its service with the testing kit, and type-checks under every resolution', async () => {
    const folder = await consumer('stock-jest', tarball.path);
    const output = await run(folder, 'npx', ['jest']);
    expect(output).toMatch(/Tests: +3 passed, 3 total/);
    for (const [module, resolution] of [
      ['commonjs', 'node10'],
      ['node16', 'node16'],
      ['nodenext', 'nodenext'],
      ['esnext', 'bundler'],
    ]) {
      const exportsMap = resolution === 'node10' ? ['--resolvePackageJsonExports', 'null'] : [];
      const options = ['--module', String(module), '--moduleResolution', String(resolution), ...exportsMap];
      await run(folder, 'npx', ['tsc', '--noEmit', ...options]);
    }
  });
});

describe.each([
  ['11', { schedule: '^6.1.3' }],
  ['12', { schedule: '^12.0.2' }],
])('the application of the README on Nest %s', (version, { schedule }) => {
  it('compiles, leads, runs its job, and hands over on SIGTERM', async () => {
    const nest = `^${version}.0.0`;
    const folder = await consumer('readme', tarball.path, {
      type: 'module',
      dependencies: {
        '@kubernetes/client-node': '~1.4.0',
        '@nestjs/common': nest,
        '@nestjs/core': nest,
        '@nestjs/platform-express': nest,
        '@nestjs/schedule': schedule,
        'reflect-metadata': '^0.2.2',
        rxjs: '^7.8.1',
      },
      devDependencies: { typescript: '~6.0.3', '@types/node': '^20' },
    });
    await mkdir(join(folder, 'src'));
    const examples = await readmeExamples();
    expect([...examples.keys()]).toEqual(['app.module.ts', 'invoices.service.ts', 'main.ts']);
    for (const [name, code] of examples) await writeFile(join(folder, 'src', name), code);
    await run(folder, 'npx', ['tsc']);
    expect(await run(folder, 'node', ['one-instance.mjs'])).toBe('one instance\n');

    const server = await LeaseApiServer.start();
    await server.writeKubeconfig(join(folder, 'kubeconfig.json'));
    const output = await runUntil(folder, 'invoice for grace, fencing token');
    await server.stop();
    expect(output).toContain("Leading 'billing' as ");
    expect(output).toMatch(/invoice for ada, fencing token [1-9]/);
    expect(output).toMatch(/Handed over 'billing' as .*: stopped/);
    expect(output).not.toMatch(/WARN|ERROR/);
  });
});

/** Runs the application until it has printed `text`, then sends SIGTERM; what it printed until it ended. */
function runUntil(cwd: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = {
      ...process.env,
      NO_COLOR: '1',
      KUBECONFIG: 'kubeconfig.json',
      NAMESPACE: 'default',
      PORT: '0',
    };
    const child = spawn(process.execPath, ['dist/main.js'], { cwd, env });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString('utf8');
        if (output.includes(text)) child.kill('SIGTERM');
      });
    }
    child.on('error', reject);
    child.on('close', () => {
      resolve(output);
    });
  });
}
