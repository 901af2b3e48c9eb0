/**
 * docs/recipes/to-the-leader.md under load: 10,000 payments, posted to any of three replicas while the leader steps down, is stopped,
 * killed and frozen. Each is asked for until it is answered, and paid once.
 */
import Sqlite from 'libsql';
import { fork, type ChildProcess } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { examplesIn, installConsumer, packTarball, run } from '../package/consumer.js';
import { guard, scratchFolder } from '../rig/guard.js';
import { listenTo } from '../security/canary.js';
import { onRealApiServer, type Stage } from './on-real-api-server.js';
import { Vigil } from './vigil.js';

const POSTS = 10_000;
const CLIENTS = 50;
const REPLICAS = 3;

type Strike = (leader: Replica, crowd: Crowd) => void | Promise<void>;

const stepDown: Strike = (leader) => {
  leader.order('step down');
};
const stop: Strike = (leader, crowd) => {
  leader.signal('SIGTERM');
  return crowd.replace(leader);
};
const kill: Strike = (leader, crowd) => {
  leader.signal('SIGKILL');
  return crowd.replace(leader);
};
const dieAfterPaying: Strike = (leader, crowd) => {
  leader.order('die after a payment');
  return crowd.replace(leader);
};
const freezeBeforePaying: Strike = async (leader, crowd) => {
  leader.order('freeze before a payment');
  await crowd.vigil.until('another leader', () => (crowd.leader === leader ? undefined : true));
  await crowd.post(crowd.leader?.port); // so that what the former leader does next is late
  leader.signal('SIGCONT');
};
const STRIKES = [stepDown, stop, dieAfterPaying, freezeBeforePaying, kill];

let folder: string;
/** The client of the recipe. */
let postOnce: (
  url: () => string,
  body: object,
  again: (why: string) => void,
) => Promise<{ status: number; text: string }>;
const crowds: Crowd[] = [];

beforeAll(async () => {
  const tarball = await packTarball();
  folder = await installConsumer('forwarding', tarball.path);
  await tarball.remove();
  for (const [name, code] of await examplesIn('docs/recipes/to-the-leader.md'))
    await writeFile(join(folder, 'src', name), code);
  await run(folder, 'npx', ['tsc']);
  const client = pathToFileURL(join(folder, 'build', 'post-once.js')).href;
  ({ postOnce } = (await import(client)) as { postOnce: typeof postOnce });
});

afterEach(async () => {
  await Promise.all(crowds.splice(0).map((crowd) => crowd.kill()));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

onRealApiServer('what a follower forwards', {}, (stage) => {
  it.each(['proxy', 'redirect'])(
    'by a %s: of 10,000 payments none is lost or doubled, whatever becomes of the leader',
    async (forward) => {
      const crowd = await Crowd.start(stage, { FORWARD: forward });
      for (const strike of STRIKES) await crowd.struck(strike, POSTS / STRIKES.length);
      const { statuses, repeated, answeredAgain } = crowd.heard;
      const posted = POSTS + 1; // one by the strike that freezes the leader
      expect(statuses).toEqual({ 201: posted });
      expect(crowd.paid()).toEqual({ payments: posted, balance: posted, lateTokens: 0 });
      // Otherwise neither the key nor the token had anything to do.
      expect(answeredAgain).toBeGreaterThan(0);
      expect(crowd.fenced).toBeGreaterThan(0);
      const attempts = Object.entries(repeated).map(([why, count]) => `${String(count)} × ${why}`);
      console.info(
        `measured: ${forward}: ${String(posted)} POSTs, ${String(crowd.terms)} terms, 0 lost, 0 doubled; repeated: ${attempts.join(', ')}; ` +
          `${String(answeredAgain)} had been paid before; ${String(crowd.fenced)} refused by the token`,
      );
    },
  );

  it('without the key and the token payments are doubled, and a former leader pays', async () => {
    const posts = 2_000;
    const crowd = await Crowd.start(stage, { FORWARD: 'proxy', GUARDS: 'off' });
    for (const strike of [dieAfterPaying, freezeBeforePaying]) await crowd.struck(strike, posts / 2);
    const { payments, lateTokens } = crowd.paid();
    expect(payments).toBeGreaterThan(posts);
    expect(lateTokens).toBeGreaterThan(0);
  });
});

/** The replicas, and the clients that load them. */
class Crowd {
  readonly vigil = new Vigil(() => this.#replicas.map(({ log }) => log).join('\n---\n'));
  leader: Replica | undefined;
  terms = 0;
  fenced = 0;
  /** What the clients heard: the last answers, the attempts that had to be repeated and why, and who had been paid before. */
  readonly heard = {
    statuses: {} as Record<string, number>,
    repeated: {} as Record<string, number>,
    answeredAgain: 0,
  };
  readonly #replicas: Replica[] = [];

  private constructor(
    private readonly environment: NodeJS.ProcessEnv,
    private readonly store: string,
  ) {}

  /** Resolves when all listen, and one leads. */
  static async start({ server }: Stage, setting: NodeJS.ProcessEnv): Promise<Crowd> {
    const scratch = await scratchFolder('payments');
    const store = join(scratch, 'store.db');
    const database = new Sqlite(store);
    database.pragma('journal_mode = WAL');
    database.exec((await examplesIn('docs/recipes/to-the-leader.md')).get('payments.sql') ?? '');
    database.close();
    const kubeconfig = join(scratch, 'kubeconfig.json');
    await writeFile(kubeconfig, server.kubeconfig());
    const environment = {
      ...setting,
      KUBECONFIG: kubeconfig,
      STORE: store,
      LEASE: `payments-${String(setting['FORWARD'])}-${setting['GUARDS'] ?? 'on'}`,
      LEADER_ADDRESSES: '^http://127\\.0\\.0\\.1:\\d+$',
    };
    const crowd = new Crowd(environment, store);
    crowds.push(crowd);
    for (let count = 0; count < REPLICAS; count += 1) await crowd.#join(await freePort());
    await crowd.vigil.until('a leader', () => crowd.leader);
    return crowd;
  }

  /** Posts this many payments, and strikes the leader in the middle; resolves when all are answered and another has led. */
  async struck(strike: Strike, posts: number): Promise<void> {
    const leader = await this.vigil.until('a leader', () => this.leader);
    const termsBefore = this.terms;
    let answered = 0;
    const load = this.#load(posts, () => {
      answered += 1;
      this.vigil.wake();
    });
    const struck = async (): Promise<void> => {
      await this.vigil.until('half of the answers', () => (answered >= posts / 2 ? true : undefined));
      await strike(leader, this);
      await this.vigil.until('the next term', () => (this.terms > termsBefore ? true : undefined));
    };
    await Promise.all([load, struck()]);
  }

  /** Posts a payment until it is answered: to that port, or to any replica. */
  async post(port?: number): Promise<void> {
    const { statuses, repeated } = this.heard;
    const { status, text } = await postOnce(
      () => `http://127.0.0.1:${String(port ?? this.#anyPort())}/payments`,
      { account: 'ada', amount: 1 },
      (why) => {
        repeated[why] = (repeated[why] ?? 0) + 1;
      },
    );
    statuses[status] = (statuses[status] ?? 0) + 1;
    if ((JSON.parse(text) as { again?: boolean }).again === true) this.heard.answeredAgain += 1;
  }

  /** Clients that post payments one after another. */
  async #load(posts: number, answered: () => void): Promise<void> {
    let posted = 0;
    const client = async (): Promise<void> => {
      while (posted < posts) {
        posted += 1;
        await this.post();
        answered();
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
  }

  /** Resolves when it has ended, and another listens on its port. */
  async replace(replica: Replica): Promise<void> {
    await replica.exited;
    if (this.leader === replica) this.leader = undefined;
    await this.#join(replica.port);
    this.#replicas.splice(this.#replicas.indexOf(replica), 1);
  }

  /** What the database has: tokens that are smaller than one before them are of a former leader. */
  paid(): { payments: number; balance: number; lateTokens: number } {
    const database = new Sqlite(this.store);
    const one = (statement: string): number =>
      Number((database.prepare(statement).get() as Record<string, unknown>)['n']);
    const late = `SELECT count(*) AS n FROM (SELECT fencing_token < max(fencing_token) OVER (ORDER BY rowid) AS late FROM payments) WHERE late`;
    const found = {
      payments: one('SELECT count(*) AS n FROM payments'),
      balance: one('SELECT balance AS n FROM accounts'),
      lateTokens: one(late),
    };
    database.close();
    return found;
  }

  async kill(): Promise<void> {
    for (const replica of this.#replicas) replica.signal('SIGKILL');
    await Promise.all(this.#replicas.map(({ exited }) => exited));
  }

  async #join(port: number): Promise<void> {
    let listens = false;
    const replica = new Replica(port, this.environment, (message) => {
      if (message.type === 'listens') listens = true;
      if (message.type === 'fenced') this.fenced += 1;
      if (message.type === 'leads') {
        this.leader = replica;
        this.terms += 1;
      }
      this.vigil.wake();
    });
    this.#replicas.push(replica);
    await this.vigil.until('a replica that listens', () => (listens ? true : undefined));
  }

  /** Also of one that is dead or frozen: clients do not know. */
  #anyPort(): number | undefined {
    return this.#replicas[Math.floor(Math.random() * this.#replicas.length)]?.port;
  }
}

class Replica {
  readonly exited: Promise<void>;
  log = '';
  readonly #child: ChildProcess;

  constructor(
    readonly port: number,
    environment: NodeJS.ProcessEnv,
    onMessage: (message: { readonly type: 'listens' | 'leads' | 'fenced' }) => void,
  ) {
    const env = { ...process.env, ...environment, PORT: String(port), NO_COLOR: '1' };
    this.#child = fork(join(folder, 'build', 'main.js'), {
      cwd: folder,
      env,
      execArgv: [],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    listenTo(this.#child);
    const { pid } = this.#child;
    if (pid !== undefined) guard().watch(pid);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.log = (this.log + chunk.toString('utf8')).slice(-4_000);
      });
    }
    this.#child.on('message', onMessage);
    this.exited = new Promise((resolve) => {
      this.#child.on('exit', () => {
        if (pid !== undefined) guard().forget(pid);
        resolve();
      });
    });
  }

  order(what: string): void {
    this.#child.send(what);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
