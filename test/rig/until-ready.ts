/** Waits until a kube-apiserver is ready, while it and its etcd run. */
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { ApiClient } from './api-client.js';
import type { RigProcess } from './rig-process.js';
import { ADMIN_TOKEN } from './users.js';

const READY_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 50;

/** @throws RigProcessEnded if one of the processes has ended. */
export async function untilReady(
  port: number,
  caFile: string,
  processes: readonly RigProcess[],
): Promise<void> {
  const url = `https://127.0.0.1:${String(port)}`;
  const until = Date.now() + READY_WITHIN_MS;
  while (Date.now() < until) {
    for (const process of processes) process.assertRunning();
    try {
      const client = new ApiClient(url, await readFile(caFile, 'utf8'), ADMIN_TOKEN);
      const answer = await client.request('GET', '/readyz', { patienceMs: 2_000 });
      if (answer.text === 'ok') return;
    } catch {
      // Not listening yet, or its certificate is not written yet.
    }
    await pause(LOOK_EVERY_MS);
  }
  throw new Error(
    `kube-apiserver was not ready within ${String(READY_WITHIN_MS)} ms: ${String(processes[1]?.log)}`,
  );
}
