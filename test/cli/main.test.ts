/** The command as it is published: a file that needs nothing but Node, run as a process. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LeaseApiServer } from '../../lib/testing/index.js';
import { packTarball } from '../package/consumer.js';
import { listenTo } from '../security/canary.js';

let folder: string;
let bin: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestjs-leader-bin-'));
  const tarball = await packTarball();
  const home = join(folder, 'node_modules', 'nestjs-leader');
  await mkdir(home, { recursive: true });
  const unpacked = spawnSync('tar', ['-xzf', tarball.path, '-C', home, '--strip-components=1']);
  expect(unpacked.status).toBe(0);
  await tarball.remove();
  const { bin: bins } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8')) as {
    bin: Record<string, string>;
  };
  bin = join(home, String(bins['nestjs-leader']));
});
afterAll(() => rm(folder, { recursive: true }));

function start(args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const without = { KUBECONFIG: '', KUBERNETES_SERVICE_HOST: '', POD_NAMESPACE: '', HOME: folder };
  return listenTo(spawn(bin, args, { cwd: folder, env: { ...process.env, ...without, ...env } }));
}

/** The output of a process, and its exit code, when it has ended. */
async function ended(child: ChildProcess): Promise<{ out: string; err: string; code: number | null }> {
  const written = { out: '', err: '' };
  child.stdout?.on('data', (chunk: Buffer) => (written.out += chunk.toString('utf8')));
  child.stderr?.on('data', (chunk: Buffer) => (written.err += chunk.toString('utf8')));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { ...written, code };
}

describe('the command of the packed package', () => {
  it('runs without any other package', async () => {
    expect(await ended(start(['--help']))).toMatchObject({ code: 0, err: '' });
    expect(await ended(start(['rbac', 'billing']))).toMatchObject({ code: 0 });
    expect(await ended(start([]))).toMatchObject({ code: 2 });
    const licences = await readFile(join(bin, '..', '..', 'THIRD-PARTY-LICENSES.txt'), 'utf8');
    expect(licences).toContain('commander');
  });

  it('says how npx brings what a kubeconfig needs', async () => {
    const server = await LeaseApiServer.start();
    const kubeconfig = await server.writeKubeconfig(join(folder, 'kubeconfig.json'));
    const { err, code } = await ended(start(['status'], { KUBECONFIG: kubeconfig }));
    await server.stop();
    expect(code).toBe(1);
    expect(err).toMatch(/npx -p nestjs-leader -p @kubernetes\/client-node\S* nestjs-leader …/);
  });

  it('serves, and ends at SIGINT with nothing left', async () => {
    const child = start(['serve', '--kubeconfig', 'leader.kubeconfig']);
    const done = ended(child);
    const path = join(folder, 'leader.kubeconfig');
    await new Promise<void>((resolve) => child.stdout?.once('data', () => resolve()));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    child.kill('SIGINT');
    expect(await done).toMatchObject({ code: 0, err: '' });
    expect(existsSync(path)).toBe(false);
  });

  it.skipIf(!existsSync('/dev/full'))('says that its output could not be written', async () => {
    const full = openSync('/dev/full', 'w');
    const child = spawn(bin, ['rbac', 'billing'], { cwd: folder, stdio: ['ignore', full, 'pipe'] });
    closeSync(full);
    expect(await ended(child)).toMatchObject({
      code: 1,
      err: 'error: the output could not be written (ENOSPC)\n',
    });
  });
});
