/** The examples of docs/coming-from-go.md, from the page itself. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { LeaseElector, resolveElectionOptions } from '../../lib/election/index.js';
import { KubernetesLeaseLock, type ApiConnection } from '../../lib/kubernetes/index.js';
import { LeaseApiServer } from '../../lib/testing.js';
import { examplesIn } from '../package/consumer.js';

const token = 'a-token';
let server: LeaseApiServer;
/** Each test imports under another name, because a module runs once. */
let folder: string;

beforeEach(async () => {
  server = await LeaseApiServer.start({ tokens: { [token]: 'alice' } });
  await mkdir('build', { recursive: true });
  folder = await mkdtemp(resolve('build', 'coming-from-go-'));
  for (const [name, code] of await examplesIn('docs/coming-from-go.md')) {
    const own = code.replace(
      /'nestjs-leader\/(\w+)'/g,
      (_, part: string) => `'${resolve('lib', part, 'index.ts')}'`,
    );
    await writeFile(join(folder, name), own);
  }
});

afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const example = (name: string): Promise<unknown> =>
  import(/* @vite-ignore */ pathToFileURL(join(folder, name)).href);

it.each([
  ['nobody', undefined, /^held for 9\d{3} ms, fencing token \d+$/],
  ['another', 'bing', /^'bing' holds it$/],
])('claim.mjs, with nothing but an address and a token, when %s has the lease', async (_, holder, says) => {
  if (holder !== undefined) {
    const connection = await fetchConnection();
    const lock = new KubernetesLeaseLock(connection, { name: 'nightly', namespace: 'default', labels: {} });
    const record = { holderIdentity: holder, leaseDurationSeconds: 15, leaseTransitions: 0 };
    await lock.create(
      { ...record, acquireTime: undefined, renewTime: undefined },
      { signal: new AbortController().signal, newConnection: false },
    );
  }
  vi.stubEnv('API_SERVER', server.url);
  vi.stubEnv('TOKEN', token);
  const log = vi.spyOn(console, 'log').mockReturnValue();
  await example('claim.mjs');
  expect(log.mock.calls).toEqual([[expect.stringMatching(says)]]);
  expect(server.leases[0]?.spec.holderIdentity).toBe(holder ?? '');
});

async function fetchConnection(): Promise<ApiConnection> {
  const { FetchConnection } = (await example('fetch-connection.ts')) as {
    FetchConnection: new (server: string, token: string) => ApiConnection;
  };
  return new FetchConnection(server.url, token);
}

it('fetch-connection.ts carries an election: writes, the watch that shows the hand-over, and the next term', async () => {
  const connection = await fetchConnection();
  const errors: string[] = [];
  const start = (identity: string): { stop: AbortController; led: Promise<void>; run: Promise<void> } => {
    const lock = new KubernetesLeaseLock(connection, { name: 'x', namespace: 'default', labels: {} });
    // A follower that misses the release would come only after a retryPeriod.
    const options = resolveElectionOptions(
      { leaseName: 'x', leaseDuration: 600_000, renewDeadline: 500_000, retryPeriod: 100_000 },
      { leaseNamespace: 'default', identity },
    );
    const stop = new AbortController();
    let run = Promise.resolve();
    const led = new Promise<void>((tellLed) => {
      run = new LeaseElector({ lock, options }).run(stop.signal, (event) => {
        if (event.type === 'startedLeading') tellLed();
        if (event.type === 'error') errors.push(event.error.code);
      });
    });
    return { stop, led, run };
  };
  const one = start('one');
  await one.led;
  const two = start('two');
  one.stop.abort();
  await one.run;
  await two.led;
  two.stop.abort();
  await two.run;
  expect(server.leases[0]?.spec.holderIdentity).toBe('');
  expect(errors).toEqual([]);
});
