/** Builds a file or folder once, for all processes that need it at the same time. */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const BEAT_EVERY_MS = 5_000;
const STALE_AFTER_MS = 60_000;
const LOOK_EVERY_MS = 200;
const PATIENCE_MS = 45 * 60_000;

/**
 * Creates `target` with `build`, unless it exists. While another process builds it, waits and calls `onWait`.
 *
 * The lock only saves work. The file is always complete, because it is built under another name and then moved: after a crash
 * two processes may both find the lock abandoned, and both may build.
 */
export async function buildOnce(
  target: string,
  build: (unfinished: string) => Promise<void>,
  onWait: () => void = () => undefined,
): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const lock = `${target}.lock`;
  const until = Date.now() + PATIENCE_MS;
  while (!existsSync(target)) {
    if (await take(lock)) {
      await holding(lock, () => (existsSync(target) ? Promise.resolve() : buildAside(target, build)));
      return;
    }
    if (Date.now() > until) {
      throw new Error(
        `Another process has been building ${target} for too long. If none is, delete ${lock}.`,
      );
    }
    onWait();
    await pause(LOOK_EVERY_MS);
  }
}

async function buildAside(target: string, build: (unfinished: string) => Promise<void>): Promise<void> {
  const unfinished = `${target}.${randomUUID()}`;
  try {
    await build(unfinished);
    await rename(unfinished, target);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function take(lock: string): Promise<boolean> {
  try {
    const file = await open(lock, 'wx');
    await file.writeFile(String(process.pid));
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (await isAbandoned(lock)) await rm(lock, { force: true });
    return false;
  }
}

async function holding(lock: string, work: () => Promise<void>): Promise<void> {
  const beat = setInterval(() => {
    const now = new Date();
    // Another process may have removed it as abandoned, for example after this machine was suspended.
    utimes(lock, now, now).catch(() => undefined);
  }, BEAT_EVERY_MS);
  try {
    await work();
  } finally {
    clearInterval(beat);
    await rm(lock, { force: true });
  }
}

async function isAbandoned(lock: string): Promise<boolean> {
  try {
    const [{ mtimeMs }, holder] = await Promise.all([stat(lock), readFile(lock, 'utf8')]);
    return Date.now() - mtimeMs > STALE_AFTER_MS || (holder !== '' && !isAlive(Number(holder)));
  } catch {
    // The lock has just been released.
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
