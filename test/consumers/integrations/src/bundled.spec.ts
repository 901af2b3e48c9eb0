/** An application in one file, with all its packages inside and none beside it: its refusals are what they are unbundled. */
import { ClientProxyFactory, Transport } from '@nestjs/microservices';
import { build, type BuildOptions, type Plugin } from 'esbuild';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { firstValueFrom } from 'rxjs';
import { io } from 'socket.io-client';
import { expect, it, onTestFinished } from 'vitest';
import { freePort } from './handlers/application.js';

/** What Nest would load if it were installed, and does without. */
const notInstalled: Plugin = {
  name: 'not-installed',
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, async ({ path }) => {
      try {
        import.meta.resolve(path);
        return undefined;
      } catch {
        return { path, external: true };
      }
    });
  },
};

async function bundled(format: 'cjs' | 'esm'): Promise<{ url: string; port: number; errors: () => string }> {
  const folder = await mkdtemp(join(tmpdir(), 'nestjs-leader-bundle-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, format === 'cjs' ? 'bundle.cjs' : 'bundle.mjs');
  await build({ ...options, ...(format === 'esm' && { banner: { js: REQUIRE } }), format, outfile: file });
  const port = await freePort();
  const child = spawn(process.execPath, [file, String(port)], { cwd: folder });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  onTestFinished(() => {
    child.kill();
    return closed;
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')));
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      const [, listening] = /listening (\S+)/.exec(chunk.toString('utf8')) ?? [];
      if (listening !== undefined) resolve(listening);
    });
    void closed.then(() => reject(new Error(`The bundle ended: ${errors}`)));
  });
  return { url, port, errors: () => errors };
}

const options: BuildOptions = {
  entryPoints: [join(import.meta.dirname, 'bundled', 'main.ts')],
  bundle: true,
  platform: 'node',
  target: 'node20',
  plugins: [notInstalled],
  logLevel: 'error',
};

/** Packages that are CommonJS call it. */
const REQUIRE = `import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);`;

it.each(['cjs', 'esm'] as const)('bundled by esbuild as %s', async (format) => {
  const { url, port, errors } = await bundled(format);
  const refusal = { code: 'NOT_LEADER', message: expect.stringContaining('does not lead'), leader: '' };
  const client = ClientProxyFactory.create({
    transport: Transport.TCP,
    options: { host: '127.0.0.1', port },
  });
  onTestFinished(() => client.close());
  await expect(firstValueFrom(client.send('message', {}))).rejects.toEqual(refusal);
  const socket = io(url, { transports: ['websocket'], reconnection: false });
  onTestFinished(() => {
    socket.disconnect();
  });
  const told = new Promise((resolve) => socket.once('exception', resolve));
  socket.emit('message', {});
  expect(await told).toEqual(refusal);
  const answer = await fetch(`${url}/route`);
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
  expect(errors()).toBe('');
});
