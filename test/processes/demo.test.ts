/**
 * Three replicas of the sample application as real processes: the leader is stopped, killed, and frozen until its lease has expired. The
 * demo checks the intervals that its replicas report, and this test checks its exit code.
 */
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RealApiServer } from '../rig/real-api-server.js';
import { findServers } from '../rig/servers.js';
import { listenTo } from '../security/canary.js';

interface Outcome {
  readonly code: number | null;
  readonly output: string;
}

function demo(...args: string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const program = ['build/sample-app/demo/main.js', '--script', 'failover'];
    const child = listenTo(spawn(process.execPath, [...program, ...args]));
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString('utf8');
      });
    }
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ code, output });
    });
  });
}

function expectSound({ code, output }: Outcome): void {
  expect(output).toContain(
    'Never two leaders, no job outside a term, every token larger than the one before',
  );
  expect(output).toMatch(/SIGTERM to the leader .* milliseconds/);
  expect(output).toMatch(/stops leading \(deadline, over since \d+\.\d{3} s\)/);
  expect(code, output).toBe(0);
}

describe('the demo', () => {
  it('keeps every guarantee on the embedded Lease API server', async () => {
    expectSound(await demo());
  });

  it('refuses an unknown script', async () => {
    const { code, output } = await demo('--script', 'nonsense');
    expect([code, output]).toEqual([2, "There is no script 'nonsense'; there is: failover.\n"]);
  });

  it('refuses to record into a folder that is not there, before it runs', async () => {
    const { code, output } = await demo('--record', '/nowhere/run.html');
    expect([code, output]).toEqual([
      2,
      "--record is '/nowhere/run.html': its folder must exist and be writable.\n",
    ]);
  });
});

const found = findServers();

if (!found.available) {
  describe('the demo on a real API server', () => {
    it(`is not run here: ${found.reason}`, () => {
      expect(found.reason).not.toBe('');
    });
  });
} else {
  describe('the demo on a real API server', () => {
    let server: RealApiServer;

    beforeAll(async () => {
      server = await RealApiServer.start();
    });
    afterAll(async () => {
      await server.stop();
    });

    it('keeps every guarantee', async () => {
      expectSound(await demo('--kubeconfig', await server.writeKubeconfig()));
    });
  });
}
