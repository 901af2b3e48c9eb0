/**
 * Replicas on one lease, each a process with its own path to the API server, and the checks of what they report:
 * leadership as intervals of the machine's clock, so that an overlap between two reports is found, too.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { ElectionOptions, LeaderElectionModuleOptions } from '../../lib/index.js';
import { Registers, verdictOn, type Histories } from '../histories/histories.js';
import { Chronicle } from '../../sample-app/demo/chronicle.js';
import { violationsIn, type Claim } from '../../sample-app/demo/check-claims.js';
import { FaultProxy } from '../rig/fault-proxy.js';
import { scratchFolder } from '../rig/guard.js';
import type { RealApiServer } from '../rig/real-api-server.js';
import { StreamProxy } from '../rig/stream-proxy.js';
import { ReplicaProcess, type Container } from './replica-process.js';
import { machineNow, type ProcessMessage } from './replica/messages.js';
import { Vigil } from './vigil.js';
import { workOutsideTerms, type WorkSpan } from './work-spans.js';

/** Short, for tests that wait until a lease expires. */
export const BRISK = { leaseDuration: 3_000, renewDeadline: 2_000, retryPeriod: 500 };
/** For tests in which a term must survive on a busy machine. */
export const CALM = { leaseDuration: 9_000, renewDeadline: 6_000, retryPeriod: 1_000 };

/** The common settings of the replicas of a fleet. */
export interface FleetSettings {
  readonly server: RealApiServer;
  readonly election: ElectionOptions & Pick<LeaderElectionModuleOptions, 'trace'>;
  /** The kubeconfig of one replica; default: the administrator's. */
  readonly kubeconfig?: (identity: string, url: string) => string;
  /** Whether a stream proxy stands behind each fault proxy. Default: no. */
  readonly streams?: boolean;
  /** Whether signals shut the applications down. Default: yes. */
  readonly shutdownHooks?: boolean;
  /** Whether the replicas change registers, and write histories of that. Default: no. */
  readonly registers?: boolean;
}

export class ReplicaFleet {
  readonly replicas: ReplicaProcess[] = [];
  readonly #settings: FleetSettings;
  readonly #chronicle = new Chronicle(machineNow());
  readonly #vigil = new Vigil(() => this.story);
  readonly #work: WorkSpan[] = [];
  /** What each replica has written so far, with `trace`. */
  readonly #outputs = new Map<string, string>();
  readonly #folder = scratchFolder('replicas');
  readonly #registers: Promise<Registers> | undefined;
  #joined = 0;

  constructor(settings: FleetSettings) {
    this.#settings = settings;
    if (settings.registers === true) this.#registers = Registers.create();
  }

  /** Starts this many; resolves when one leads and all others know it. */
  async grow(count: number, otherwise: Partial<LeaderElectionModuleOptions> = {}): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.join(otherwise)));
    await this.settled();
  }

  /** Starts one more, optionally with other options and in a container; resolves when it campaigns. */
  async join(
    otherwise: Partial<LeaderElectionModuleOptions> = {},
    container?: Container,
  ): Promise<ReplicaProcess> {
    const { server, election, kubeconfig, streams: withStreams, shutdownHooks = true } = this.#settings;
    this.#joined += 1;
    const identity = `replica-${String(this.#joined)}`;
    const streams =
      withStreams === true ? await StreamProxy.start(server.url, await server.identity()) : undefined;
    const proxy = await FaultProxy.start(streams?.url ?? server.url);
    const path = join(await this.#folder, `${identity}.json`);
    await writeFile(path, kubeconfig?.(identity, proxy.url) ?? server.kubeconfig({ server: proxy.url }));
    const replica = new ReplicaProcess({
      proxy,
      streams,
      kubeconfig: path,
      shutdownHooks,
      registers: (await this.#registers)?.settingsOf(identity),
      election: { leaseNamespace: 'default', ...election, ...otherwise, identity },
      container,
      vigil: this.#vigil,
      onMessage: (message) => {
        this.#take(identity, message);
      },
      ...(election.trace !== undefined && {
        onOutput: (text) => {
          this.#outputs.set(identity, (this.#outputs.get(identity) ?? '') + text);
        },
      }),
      onExit: (how) => {
        this.note(`${identity} ended (${how})`);
        this.#endWork(identity, machineNow());
      },
    });
    this.replicas.push(replica);
    await replica.told('ready');
    return replica;
  }

  /** What each replica has written to its log so far. Only with the option `trace`. */
  get outputs(): ReadonlyMap<string, string> {
    return this.#outputs;
  }

  /** The path of the Lease on the API server. */
  get leasePath(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/default/leases/${this.#settings.election.leaseName}`;
  }

  /** Adds a line to the story that a failure shows. */
  note(text: string): void {
    this.#chronicle.note(machineNow(), text);
  }

  /** Waits for a leader, and returns it with its claim. */
  leader(): Promise<{ readonly replica: ReplicaProcess; readonly claim: Claim }> {
    return this.#vigil.until('a leader', () => {
      const claim = this.#chronicle.leaderAt(machineNow());
      const replica = this.replicas.find(({ identity }) => identity === claim?.replica);
      return claim === undefined || replica === undefined ? undefined : { replica, claim };
    });
  }

  /** The first term that began after `since`, in a replica other than `former` if that is given. */
  nextTerm(since: number, former?: ReplicaProcess): Promise<Claim> {
    return this.#vigil.until('the next term', () =>
      this.claims.find((claim) => claim.from > since && claim.replica !== former?.identity),
    );
  }

  /** From now on others may know that this replica is dead, so it claims nothing any more. */
  provenDead({ identity }: ReplicaProcess): void {
    const at = machineNow();
    for (const { replica, token, until } of this.claims) {
      if (replica !== identity || until <= at) continue;
      this.#chronicle.take(identity, { type: 'claimEnded', token: String(token), at, reason: 'dead' });
    }
  }

  /** Resolves when that term was renewed by a request sent after this call. */
  async renewed({ token }: Claim): Promise<Claim> {
    const { leaseDuration = 0 } = this.#settings.election;
    const { renewDeadline = leaseDuration } = this.#settings.election;
    const beyond = machineNow() + renewDeadline;
    return this.#vigil.until(`a renewal of the term ${String(token)}`, () =>
      this.claims.find((claim) => claim.token === token && claim.until > beyond),
    );
  }

  /** The claim as it was reported last. */
  reported({ token }: Claim): Claim | undefined {
    return this.claims.find((claim) => claim.token === token);
  }

  /** Resolves with the leader when every running replica knows it, and no other reports that it leads. */
  settled(): Promise<ReplicaProcess> {
    const since = machineNow();
    return this.#vigil.until('one leader that all know', () => {
      const running = this.replicas.filter(({ isRunning }) => isRunning);
      if (running.some(({ lastLook }) => lastLook === undefined || lastLook.at < since)) return undefined;
      const [leader, ...others] = running.filter(({ lastLook }) => lastLook?.leads === true);
      const agreed = running.every(({ leaderSeen }) => leaderSeen === leader?.identity);
      return others.length === 0 && agreed ? leader : undefined;
    });
  }

  /**
   * Call this at the end of each test: one replica leads, and the Lease names it; two never led at the same time, no job ran
   * outside its term, no work outlasted the lease, and every token was larger than the one before. The histories that the replicas
   * wrote, if they did, could be those of a single leader.
   */
  async expectSound(): Promise<void> {
    const leader = await this.settled();
    const { json } = await this.#settings.server.client.demand('GET', this.leasePath);
    expect(json).toMatchObject({ spec: { holderIdentity: leader.identity } });
    await leader.told('job', ({ at, token }) => at > 0 && token === String(this.#tokenOf(leader)));
    await this.stop();
    const { history } = this.#chronicle;
    const violations = [
      ...violationsIn(history),
      ...workOutsideTerms(this.#work, history.claims),
      ...(await this.#wrongHistories()),
    ];
    expect(violations, this.story).toEqual([]);
  }

  /** Stops all, and waits until they have ended. */
  async stop(): Promise<void> {
    for (const { proxy, streams } of this.replicas) {
      proxy.heal();
      streams?.heal();
    }
    for (const signal of ['SIGTERM', 'SIGCONT'] as const) {
      for (const replica of this.replicas) replica.signal(signal);
    }
    await Promise.all(this.replicas.map(({ exited }) => exited));
    await this.#stopProxies();
  }

  /** Kills all, after a test that passed or failed. */
  async kill(): Promise<void> {
    for (const replica of this.replicas) replica.signal('SIGKILL');
    await Promise.all(this.replicas.map(({ exited }) => exited));
    await this.#stopProxies();
  }

  /** The terms of all replicas. */
  get claims(): readonly Claim[] {
    return this.#chronicle.history.claims;
  }

  /** What happened, for the error of a test. */
  get story(): string {
    const lines = this.#chronicle.transitions.map(({ at, text }) => `${(at / 1_000).toFixed(3)} s  ${text}`);
    const logs = this.replicas.map(({ identity, log }) => `--- log of ${identity}\n${log}`);
    return [...lines, ...logs].join('\n');
  }

  /** The histories that the replicas wrote. Read them when all have ended. */
  async histories(): Promise<Histories | undefined> {
    return (await this.#registers)?.histories();
  }

  /** One sentence for each history of the replicas that no single leader could have made. */
  async #wrongHistories(): Promise<string[]> {
    const histories = await this.histories();
    if (histories === undefined) return [];
    const { leaseName } = this.#settings.election;
    const verdicts = [
      await verdictOn(`${leaseName}-terms`, 'term', histories.terms),
      await verdictOn(`${leaseName}-guarded`, 'register', histories.guarded),
    ];
    return verdicts.filter((verdict) => verdict !== undefined);
  }

  #tokenOf(leader: ReplicaProcess): bigint | undefined {
    return this.claims.findLast(({ replica }) => replica === leader.identity)?.token;
  }

  #take(replica: string, message: ProcessMessage): void {
    if (message.type === 'work') {
      this.#chronicle.note(message.at, `${replica}: work ${message.stage}, token ${message.token}`);
      if (message.stage === 'ended') this.#endWork(replica, message.at);
      if (message.stage !== 'started') return;
      this.#work.push({ replica, token: BigInt(message.token), from: message.at, until: Infinity });
    } else if (message.type === 'blocked') {
      this.note(`${replica} was blocked for ${(message.until - message.from).toFixed(0)} ms`);
    } else if (message.type !== 'measured' && message.type !== 'saved') {
      this.#chronicle.take(replica, message);
    }
  }

  #endWork(replica: string, at: number): void {
    for (const span of this.#work) {
      if (span.replica === replica && span.until === Infinity) span.until = at;
    }
  }

  async #stopProxies(): Promise<void> {
    await Promise.all(
      this.replicas.map(async ({ proxy, streams }) => {
        await proxy.stop();
        await streams?.stop();
      }),
    );
  }
}
