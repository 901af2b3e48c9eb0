/** A PostgreSQL server for the tests that need one: Debian's, with a cluster of its own on loopback. */
import { execFile, spawnSync } from 'node:child_process';
import { accessSync, chmodSync, chownSync, constants, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePorts } from './free-ports.js';
import { guard, scratchFolder } from './guard.js';
import { RigProcess, RigProcessEnded, type Program } from './rig-process.js';

/** How to start a server, or why there is none. */
export type PostgresqlSearch =
  | { readonly available: true; readonly start: (options?: PostgresqlOptions) => Promise<Postgresql> }
  | { readonly available: false; readonly reason: string };

export interface PostgresqlOptions {
  /** Write to the disk at each commit, as in production. Default: no, tests do not crash machines. */
  readonly fsync?: boolean;
}

const PACKAGES = '/usr/lib/postgresql';
const STOP_WITHIN_MS = 20_000;

/**
 * Finds the newest server of Debian's packages.
 *
 * @throws Error if there is none and `REQUIRE_POSTGRESQL` is set, as in CI.
 */
export function findPostgresql(
  env: NodeJS.ProcessEnv = process.env,
  packages: string = PACKAGES,
): PostgresqlSearch {
  const programs = newestIn(packages);
  if (programs !== undefined)
    return { available: true, start: (options) => Postgresql.start(programs, options) };
  const reason = `there is no PostgreSQL in ${packages} (apt-get install postgresql).`;
  if (env['REQUIRE_POSTGRESQL'])
    throw new Error(`A PostgreSQL is required (REQUIRE_POSTGRESQL), but ${reason}`);
  return { available: false, reason };
}

function newestIn(packages: string): string | undefined {
  try {
    const [newest] = readdirSync(packages).sort((a, b) => Number(b) - Number(a));
    const programs = join(packages, String(newest), 'bin');
    accessSync(join(programs, 'initdb'), constants.X_OK);
    return programs;
  } catch {
    return undefined;
  }
}

/** A running server, and what can happen to it. */
export class Postgresql {
  readonly url: string;
  readonly port: number;
  readonly #start: () => Promise<RigProcess>;
  #process: RigProcess;

  private constructor(port: number, start: () => Promise<RigProcess>, process: RigProcess) {
    this.port = port;
    this.url = `postgres://postgres@127.0.0.1:${String(port)}/postgres`;
    this.#start = start;
    this.#process = process;
  }

  static async start(programs: string, { fsync = false }: PostgresqlOptions = {}): Promise<Postgresql> {
    const [port = 0] = await freePorts(1);
    const folder = await scratchFolder('postgresql');
    const as = userFor(folder);
    const cluster = ['-D', folder, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
    await promisify(execFile)('env', [...as, join(programs, 'initdb'), ...cluster], { cwd: '/' });
    // What it logs must come on standard output.
    const onOutput = ['/bin/sh', '-c', 'exec "$0" "$@" 2>&1', join(programs, 'postgres')];
    const program: Program = ['/usr/bin/env', ...as, ...onOutput];
    const settings = [
      `port=${String(port)}`,
      'listen_addresses=127.0.0.1',
      'unix_socket_directories=',
      `fsync=${fsync ? 'on' : 'off'}`,
    ];
    const args = ['-D', folder, ...settings.flatMap((setting) => ['-c', setting])];
    const start = (): Promise<RigProcess> => startServer(program, args);
    return new Postgresql(port, start, await start());
  }

  /** Stops all processes of the server where they are; connections stay open and silent. */
  freeze(): void {
    // The first one starts the others.
    this.#process.signal('SIGSTOP');
    for (const pid of this.#workers()) process.kill(pid, 'SIGSTOP');
  }

  thaw(): void {
    for (const pid of this.#workers()) process.kill(pid, 'SIGCONT');
    this.#process.signal('SIGCONT');
  }

  /** Ends the server as a crash does, and starts it again on the same data. */
  async crash(): Promise<void> {
    this.#process.signal('SIGQUIT');
    await this.#process.exited;
    this.#process = await this.#start();
  }

  async stop(): Promise<void> {
    this.thaw();
    this.#process.signal('SIGINT');
    await Promise.race([this.#process.exited, this.#process.stop(STOP_WITHIN_MS)]);
  }

  #workers(): number[] {
    const { pid } = this.#process;
    const children = `/proc/${String(pid)}/task/${String(pid)}/children`;
    try {
      return readFileSync(children, 'utf8').split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  }
}

/** The beginning of each command: PostgreSQL refuses to run as root. The folder is given to the user that it runs as. */
function userFor(folder: string): string[] {
  if (process.getuid?.() !== 0) return [];
  const idOf = (kind: string): number => Number(spawnSync('id', [kind, 'postgres']).stdout.toString());
  chmodSync(guard().folder, 0o711);
  chownSync(folder, idOf('-u'), idOf('-g'));
  return ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', '--'];
}

function startServer(program: Program, args: readonly string[]): Promise<RigProcess> {
  return new Promise((resolve, reject) => {
    let log = '';
    const starting: RigProcess = new RigProcess('postgres', program, args, (line) => {
      log = `${log}\n${line}`.slice(-6_000);
      if (line.includes('database system is ready to accept connections')) resolve(starting);
    });
    void starting.exited.then(() => {
      reject(new RigProcessEnded('postgres', 'ended before it was ready', log));
    });
  });
}
