/** The packed tarball in typical applications. */
import { spawn } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { examplesIn, installConsumer, packTarball, run } from './consumer.js';
import { listenTo } from '../security/canary.js';

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

describe('a stock Nest 11 application with Jest and ts-jest untouched', () => {
  let folder: string;
  let appModule: string;

  beforeAll(async () => {
    folder = await consumer('stock-jest', tarball.path);
    const examples = await examplesIn('docs/testing.md');
    await mkdir(join(folder, 'src', 'docs'));
    for (const [name, code] of examples) await writeFile(join(folder, 'src', 'docs', name), code);
    // The README's module, in CommonJS, with the service and the test of docs/testing.md.
    const shown = (await examplesIn('README.md')).get('app.module.ts') ?? '';
    appModule = shown.replaceAll(/(from '\..*)\.js'/g, "$1'");
    const service = examples.get('invoices.service.ts') ?? '';
    const test = (await examplesIn('docs/testing.md', 'e2e')).get('app.e2e-spec.ts') ?? '';
    await writeFile(join(folder, 'src', 'app.module.ts'), appModule);
    await writeFile(join(folder, 'src', 'invoices.service.ts'), service);
    await writeFile(join(folder, 'test', 'app.e2e-spec.ts'), test);
  });

  it('tests its service with the testing kit, and type-checks under every resolution', async () => {
    const output = await run(folder, 'npx', ['jest']);
    expect(output).toMatch(/Tests: +12 passed, 12 total/);
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

  it('tests its AppModule on a machine without a cluster', async () => {
    const withoutCluster = { HOME: folder, KUBECONFIG: '' };
    const e2e = (...args: string[]): Promise<string> =>
      run(folder, 'npx', ['jest', '--config', './test/jest-e2e.json', ...args], withoutCluster);
    expect(await e2e('app.e2e')).toMatch(/Tests: +1 passed, 1 total/);

    // The test that Nest generates imports AppModule as it is.
    await expect(e2e('generated')).rejects.toThrow('Cannot determine the namespace');
    const alone = appModule.replace("leaseName: 'billing'", "$&, enabled: process.env.NODE_ENV !== 'test'");
    await writeFile(join(folder, 'src', 'app.module.ts'), alone);
    expect(await e2e()).toMatch(/Tests: +2 passed, 2 total/);
  });
});

describe.each([
  ['11', { schedule: '^6.1.3', terminus: '^11.1.1' }],
  ['12', { schedule: '^12.0.2', terminus: '^12.0.0' }],
])('the application of the README on Nest %s', (version, { schedule, terminus }) => {
  it('compiles, leads, runs its job, hands over on SIGTERM, and answers who leads', async () => {
    const nest = `^${version}.0.0`;
    const folder = await consumer('readme', tarball.path, {
      type: 'module',
      dependencies: {
        '@kubernetes/client-node': '~1.4.0',
        '@nestjs/common': nest,
        '@nestjs/core': nest,
        '@nestjs/platform-express': nest,
        '@nestjs/schedule': schedule,
        '@nestjs/terminus': terminus,
        'reflect-metadata': '^0.2.2',
        rxjs: '^7.8.1',
      },
      devDependencies: { typescript: '~6.0.3', '@types/node': '^20' },
    });
    await mkdir(join(folder, 'src'));
    const pages = ['start', 'api', 'options', 'shutdown', 'coming-from-go'];
    const documents = ['README.md', ...pages.map((page) => `docs/${page}.md`)];
    const shown = await Promise.all(documents.map((document) => examplesIn(document)));
    const examples = new Map(shown.flatMap((each) => [...each]));
    for (const [name, code] of examples)
      await writeFile(join(folder, name.endsWith('.ts') ? 'src' : '.', name), code);
    await run(folder, 'npx', ['tsc']);
    expect(await run(folder, 'node', ['one-instance.mjs'])).toBe('one instance\n');

    const cluster = start(folder, 'node_modules/nestjs-leader/dist/cli/main.js', 'serve');
    await cluster.printed('A Lease API server listens on http://127.0.0.1:');
    const application = start(folder, 'dist/main.js');
    await application.printed('invoice for grace, fencing token');
    const output = await application.stop();
    expect(output).toContain("Leading 'billing' as ");
    expect(output).toMatch(/invoice for ada, fencing token [1-9]/);
    expect(output).toMatch(/Handed over 'billing' as .*: stopped/);
    expect(output).not.toMatch(/WARN|ERROR/);

    const routes = await start(folder, 'routes.mjs').ended;
    expect(routes).toMatch(
      /^health 200 \{"status":"ok","info":\{"leader":\{"status":"up","state":"leading"/m,
    );
    expect(routes).toMatch(/^health .*"error":\{\},"details":\{"leader":\{"status":"up","state":"leading"/m);
    expect(routes).toMatch(/^leads since .*[^]*^mail sent, fencing token (\d+)$[^]*^term \1 over: stopped$/m);
    expect(routes).toMatch(/^leader 200 \{"identity":"(.+)","isLeader":true,"leader":"\1","term":\{/m);

    const withoutNest = start(folder, 'without-nest.mjs');
    await withoutNest.printed('startedLeading');
    expect(await withoutNest.stop()).toMatch(/stoppedLeading/);
    await cluster.stop();
  });
});

interface Running {
  /** Resolves when it has printed `text`; rejects if it ends first. */
  printed(text: string): Promise<void>;
  /** Sends SIGTERM, and resolves with its whole output when it has ended. */
  stop(): Promise<string>;
  /** Resolves with its whole output when it has ended. */
  readonly ended: Promise<string>;
}

/** Runs a program on the cluster of the README. */
function start(cwd: string, file: string, ...args: string[]): Running {
  const env = {
    ...process.env,
    NO_COLOR: '1',
    KUBECONFIG: 'leader.kubeconfig',
    PORT: '0',
  };
  const child = listenTo(spawn(process.execPath, [file, ...args], { cwd, env }));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  }
  const ended = new Promise<string>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => {
      resolve(output);
    });
  });
  return {
    ended,
    stop: () => {
      child.kill('SIGTERM');
      return ended;
    },
    printed: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (output.includes(text)) resolve();
        };
        for (const stream of [child.stdout, child.stderr]) stream.on('data', look);
        void ended.then(() => {
          reject(new Error(`${file} ended without printing '${text}':\n${output}`));
        }, reject);
        look();
      }),
  };
}
