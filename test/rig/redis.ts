/** A Redis for the tests that need one: the user's, or a `redis-server` of the rig that stores nothing. */
import { freePorts } from './free-ports.js';
import { scratchFolder } from './guard.js';
import { onPath } from './on-path.js';
import { RigProcess, RigProcessEnded } from './rig-process.js';

/** A running Redis. */
export interface RunningRedis {
  readonly url: string;
  /** Ends the server, if the rig started it. */
  stop(): Promise<void>;
}

/** How to start a Redis, or why there is none. */
export type RedisSearch =
  | { readonly available: true; readonly start: () => Promise<RunningRedis> }
  | { readonly available: false; readonly reason: string };

const STOP_WITHIN_MS = 5_000;

/**
 * Finds the Redis of `REDIS_URL`, or else a `redis-server` on the PATH.
 *
 * @throws Error if there is neither and `REQUIRE_REDIS` is set, as in CI.
 */
export function findRedis(env: NodeJS.ProcessEnv = process.env): RedisSearch {
  const url = env['REDIS_URL'];
  if (url !== undefined && url !== '') {
    return { available: true, start: () => Promise.resolve({ url, stop: () => Promise.resolve() }) };
  }
  const program = onPath('redis-server', env['PATH'] ?? '');
  if (program !== undefined) return { available: true, start: () => startRedis(program) };
  const reason =
    'REDIS_URL is not set, and there is no redis-server on the PATH (apt-get install redis-server).';
  if (env['REQUIRE_REDIS']) throw new Error(`A Redis is required (REQUIRE_REDIS), but ${reason}`);
  return { available: false, reason };
}

async function startRedis(program: string): Promise<RunningRedis> {
  const [port] = await freePorts(1);
  const folder = await scratchFolder('redis');
  const args = [
    '--bind',
    '127.0.0.1',
    '--port',
    String(port),
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    folder,
  ];
  const redis = await new Promise<RigProcess>((resolve, reject) => {
    const starting: RigProcess = new RigProcess('redis-server', [program], args, (line) => {
      if (line.includes('Ready to accept connections')) resolve(starting);
    });
    void starting.exited.then(() => {
      reject(new RigProcessEnded('redis-server', 'ended before it was ready', starting.log));
    });
  });
  return { url: `redis://127.0.0.1:${String(port)}`, stop: () => redis.stop(STOP_WITHIN_MS) };
}
