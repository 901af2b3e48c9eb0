/** The kernel's word on whether a process lives: real processes, running, stopped, killed, and their clusters. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import type { SignOfLife } from '../../../lib/election/internal.js';
import { scratchFolder } from '../../rig/guard.js';
import { hasEnded, ownSignOfLife } from '../../../lib/kubernetes/death/sign-of-life.js';

const BUILT = new URL('../../../build/lib/kubernetes/death/sign-of-life.js', import.meta.url).href;
const HOLD = `import { ownSignOfLife } from ${JSON.stringify(BUILT)};`;
const TELL = 'console.log(JSON.stringify(ownSignOfLife())); setInterval(() => undefined, 1_000);';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** @param arguments_ of Node. */
function start(...arguments_: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, arguments_, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

function program(text: string): ChildProcess {
  return start('--input-type=module', '--eval', text);
}

/** The next object that it prints. */
async function told(child: ChildProcess): Promise<unknown> {
  if (child.stdout === null) throw new Error('It has no output.');
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return JSON.parse(line);
}

describe.runIf(process.platform === 'linux')('the sign of a process', () => {
  it('says that it has ended when it was killed, and not while it runs or is stopped', async () => {
    const child = program(HOLD + TELL);
    const sign = (await told(child)) as SignOfLife;
    expect(await hasEnded(sign)).toBe(false);
    child.kill('SIGSTOP');
    expect(await hasEnded(sign)).toBe(false);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await hasEnded(sign)).toBe(true);
  });

  it('is one for a process, and does not keep it running', async () => {
    const child = program(`${HOLD} console.log(JSON.stringify([ownSignOfLife(), ownSignOfLife()]));`);
    const [first, second] = (await told(child)) as [SignOfLife, SignOfLife];
    expect(first).toEqual(second);
    await once(child, 'exit');
    expect(ownSignOfLife()).toEqual(ownSignOfLife());
    expect(ownSignOfLife()).not.toEqual(first);
  });

  it('of a worker of a cluster ends with the worker, and not with its primary process', async () => {
    const path = join(await scratchFolder('cluster'), 'main.mjs');
    await writeFile(
      path,
      `import cluster from 'node:cluster';
      ${HOLD}
      if (cluster.isPrimary) {
        const worker = cluster.fork();
        worker.on('message', (sign) => { console.log(JSON.stringify({ sign, pid: worker.process.pid })); });
        worker.on('exit', () => { console.log('{}'); });
      } else {
        process.send(ownSignOfLife());
        setInterval(() => undefined, 1_000);
      }`,
    );
    const child = start(path);
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    const [line] = (await once(lines, 'line')) as [string];
    const { sign, pid } = JSON.parse(line) as { sign: SignOfLife; pid: number };
    expect(await hasEnded(sign)).toBe(false);
    const exited = once(lines, 'line');
    process.kill(pid, 'SIGKILL');
    await exited;
    expect(await hasEnded(sign)).toBe(true);
  });

  it('proves nothing in another network namespace', async () => {
    expect(await hasEnded({ network: '1', name: 'nestjs-leader/none' })).toBe(false);
    const { network = '' } = ownSignOfLife() ?? {};
    expect(await hasEnded({ network, name: 'nestjs-leader/none' })).toBe(true);
  });
});
