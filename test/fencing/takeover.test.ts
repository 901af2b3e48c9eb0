/** Two Nest applications. The leader is stopped between its check and its write, for longer than its lease. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LeaseApiServer } from '../../lib/testing.js';
import { scratchFolder } from '../rig/guard.js';
import type { Saying } from './application-process.js';
import { Process, Writer, buildProcesses } from './processes.js';
import { example } from './recipe.js';

type Said<Event extends Saying['event']> = Extract<Saying, { event: Event }>;

let build: Awaited<ReturnType<typeof buildProcesses>>;
let server: LeaseApiServer;
let database: string;
let observer: Writer;
const processes: Process[] = [];

function start(identity: string, ...flags: string[]): Process {
  const args = [identity, server.url, database, ...flags];
  const application = new Process(join(build.folder, 'application-process.js'), args);
  processes.push(application);
  return application;
}

beforeAll(async () => {
  build = await buildProcesses();
  server = await LeaseApiServer.start();
  database = join(await scratchFolder('takeover'), 'invoices.db');
  observer = new Writer(build.folder, database);
  processes.push(observer);
  await observer.run(example('schema.sql'));
  for (const id of ['guarded', 'unguarded']) {
    await observer.run(example('upsert.sql'), { id, body: '', token: 0n });
  }
});

afterAll(async () => {
  await Promise.all(processes.map((running) => running.kill()));
  await server.stop();
  await build.remove();
});

describe('a leader that is stopped between its check and its write', () => {
  it('is refused by the store, and overwrites only what has no guard', async () => {
    const first = start('first', 'stop-before-write');
    const { token: oldToken } = await first.said<Said<'checked'>>({ event: 'checked' });

    // It leads only after the lease of the first has run out.
    const second = start('second');
    const { token: newToken } = await second.said<Said<'checked'>>({ event: 'checked' });
    expect(newToken).toBeGreaterThan(oldToken);
    expect(await second.said<Said<'ended'>>({ event: 'ended' })).toMatchObject({
      outcome: 'written',
      isLeader: true,
    });

    first.thaw();
    expect(await first.said<Said<'ended'>>({ event: 'ended' })).toEqual({
      event: 'ended',
      outcome:
        `Invoice 'guarded' is not there, or a leader later than fencing token ${String(oldToken)} ` +
        'has written it.',
      isLeader: false,
      isOver: true,
    });
    const { rows } = await observer.run('SELECT * FROM invoices ORDER BY id');
    expect(rows).toEqual([
      { id: 'guarded', body: 'line of second; ', fencing_token: newToken },
      { id: 'unguarded', body: 'line of first; ', fencing_token: oldToken },
    ]);
  });
});
