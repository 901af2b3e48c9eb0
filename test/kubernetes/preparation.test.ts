/** The wait before a request is sent does not count as the API server's time; an error about a long wait names its cause. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LeaseRequests, type Reply } from '../../lib/election/requests.js';
import type { LeaseSnapshot } from '../../lib/election/index.js';
import type * as Kubernetes from '../../lib/kubernetes/index.js';
import { canary } from '../security/canary.js';
import { HandClock } from './hand-clock.js';
import { KubeconfigFolder } from './kubeconfig-file.js';
import { address, call, leaseOf } from './lease-fixtures.js';
import { ScriptedServer, answer } from './scripted-server.js';

const folder = new KubeconfigFolder();
const PATIENCE_MS = 5_000;
const token = canary('prepared');

let server: ScriptedServer;
let gate: ScriptedServer;
let clock: HandClock;
let requests: LeaseRequests;
let answers: boolean;
let open: () => void;
let opened: Promise<void>;

beforeEach(async () => {
  vi.resetModules();
  answers = true;
  opened = new Promise((resolve) => (open = resolve));
  clock = new HandClock();
  requests = new LeaseRequests(clock);
  server = await ScriptedServer.start((_request, response) => {
    if (answers) answer(response, 200, leaseOf());
  });
  gate = await ScriptedServer.start(async (_request, response) => {
    await opened;
    response.end();
  });
});
afterEach(async () => {
  open();
  requests.abortAll();
  // An import that was given up would otherwise find its mock gone in the middle.
  await vi.dynamicImportSettled();
  vi.doUnmock('@kubernetes/client-node');
  await Promise.all([server.stop(), gate.stop()]);
});
afterAll(() => {
  folder.remove();
});

/** A lock whose client-node is loaded when the gate opens. */
async function lockWithSlowImport(): Promise<Kubernetes.KubernetesLeaseLock> {
  // With its own gate, because an import that was given up may begin in the next test.
  const gateOpened = opened;
  vi.doMock('@kubernetes/client-node', async (original) => {
    await gateOpened;
    return original();
  });
  const { KubernetesConnection, KubernetesLeaseLock } = await import('../../lib/kubernetes/index.js');
  const kubeconfigFile = folder.write({ server: server.url }, { token });
  return new KubernetesLeaseLock(new KubernetesConnection({ kubeconfigFile }), address);
}

/** A lock whose plugin prints a token when the gate opens. */
async function lockWithSlowPlugin(): Promise<Kubernetes.KubernetesLeaseLock> {
  const printed = join(folder.path, 'printed');
  writeFileSync(printed, JSON.stringify({ status: { token } }));
  expect(readFileSync(printed, 'utf8')).toContain(token);
  const script =
    `fetch(${JSON.stringify(gate.url)}).then(() => ` +
    `process.stdout.write(require('node:fs').readFileSync(${JSON.stringify(printed)})));`;
  const exec = { command: process.execPath, args: ['-e', script] };
  const { KubernetesConnection, KubernetesLeaseLock } = await import('../../lib/kubernetes/index.js');
  const kubeconfigFile = folder.write({ server: server.url }, { exec });
  const connection = new KubernetesConnection({ kubeconfigFile });
  await connection.start();
  return new KubernetesLeaseLock(connection, address);
}

describe.each([
  ['client-node, loaded slowly', lockWithSlowImport, '@kubernetes/client-node', 0],
  ['a slow credential plugin', lockWithSlowPlugin, 'plugin', 1],
])('%s', (_name, lockOf, blamed, runs) => {
  const ask = async (): Promise<Promise<Reply<LeaseSnapshot | undefined>>[]> => {
    const lock = await lockOf();
    const reply = requests.send(PATIENCE_MS, (call) => lock.get(call));
    await gate.arrived(runs);
    return [reply];
  };

  it('is named in the error, and not the API server, which was not asked yet', async () => {
    const [reply] = await ask();
    await clock.ring(PATIENCE_MS);
    const told = await reply;
    expect(told).toMatchObject({
      ok: false,
      error: {
        code: 'LEADER_REQUEST_TIMEOUT',
        maybeCommitted: false,
        message: expect.stringContaining(blamed),
      },
    });
    expect(JSON.stringify(told)).not.toMatch(/overloaded|network path/);
    expect(server.requests).toEqual([]);
  });

  it('does not shorten the time for the API server', async () => {
    answers = false;
    const [reply] = await ask();
    expect(clock.delays).toEqual([PATIENCE_MS]);
    const renewed = vi.spyOn(clock, 'setTimer');
    open();
    await server.arrived(1);
    expect(renewed).toHaveBeenLastCalledWith(PATIENCE_MS, expect.any(Function));
    expect(clock.delays).toEqual([PATIENCE_MS]);
    await clock.ring(PATIENCE_MS);
    expect(await reply).toMatchObject({
      ok: false,
      error: {
        maybeCommitted: true,
        message: expect.stringMatching(/^No answer within 5000 ms.*overloaded/),
      },
    });
    expect(clock.delays).toEqual([]);
  });

  it('leaves no timer when the wait is over', async () => {
    const [reply] = await ask();
    requests.abortAll();
    await reply;
    open();
    expect(clock.delays).toEqual([]);
  });

  it('is named in the error when a signal ends the request', async () => {
    const lock = await lockOf();
    const giveUp = new AbortController();
    const asked = lock.get({ ...call(), signal: giveUp.signal });
    await gate.arrived(runs);
    giveUp.abort();
    await expect(asked).rejects.toMatchObject({
      code: 'LEADER_REQUEST_TIMEOUT',
      maybeCommitted: false,
      message: expect.stringContaining(blamed),
    });
  });
});
