import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Guard } from './guard.js';

it('ends only the processes that it watches, and removes its folder', async () => {
  const guard = new Guard();
  const [watched, forgotten] = [0, 1].map(() => spawn('sleep', ['600'])) as [
    ReturnType<typeof spawn>,
    ReturnType<typeof spawn>,
  ];
  const exited = once(watched, 'exit');
  guard.watch(watched.pid ?? 0);
  guard.watch(forgotten.pid ?? 0);
  guard.forget(forgotten.pid ?? 0);
  await guard.close();
  expect(await exited).toEqual([null, 'SIGKILL']);
  expect(existsSync(guard.folder)).toBe(false);
  expect(forgotten.exitCode ?? forgotten.signalCode).toBeNull();
  forgotten.kill();
});
