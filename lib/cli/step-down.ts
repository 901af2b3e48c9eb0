import { boundSignal, isLeaderError, pause, systemClock, type LeaseSnapshot } from '../election/internal.js';
import { KubernetesLeaseLock, type LeaseFacts } from '../kubernetes/internal.js';
import {
  PATIENCE_MS,
  checkName,
  refusedFor,
  withCluster,
  type Cluster,
  type ClusterFlags,
} from './cluster.js';
import { ms, seconds } from './doctor/finding.js';
import { ageText, viewOf } from './lease-view.js';
import { CommandError, EXIT, json, plain, type ExitCode, type Terminal } from './terminal.js';

/** The options of {@link stepDown}. */
export interface StepDownFlags extends ClusterFlags {
  readonly yes?: boolean;
  readonly json?: boolean;
  /** Milliseconds. */
  readonly timeout: number;
}

/** What became of the request. */
type Outcome =
  /** Another process holds the lease. */
  | { readonly kind: 'handedOver'; readonly to: string; readonly ms: number; readonly token: string | null }
  /** The holder gave it up, and nobody took it in time. */
  | { readonly kind: 'released'; readonly ms: number }
  /** The holder gave it up and took it again: no other process campaigns. */
  | { readonly kind: 'takenAgain'; readonly ms: number }
  /** The request is gone, and the holder is the same. */
  | { readonly kind: 'ignored' }
  | { readonly kind: 'deleted' }
  /** `interrupted`: by SIGINT, before the time was over. */
  | { readonly kind: 'noAnswer'; readonly withdrawn: boolean; readonly interrupted: boolean };

/** How often a conflict is answered by another try: the holder renews at the same time. */
const TRIES = 5;

/**
 * Asks the holder of a Lease to hand over, by the annotation that elections with `spread` use among themselves, and waits for
 * what becomes of it.
 */
export async function stepDown(terminal: Terminal, name: string, flags: StepDownFlags): Promise<ExitCode> {
  checkName(name);
  if (flags.yes !== true && !terminal.isInteractive)
    throw new CommandError(
      'step-down asks before it does anything, and nobody can answer here: give --yes.',
      EXIT.usage,
    );
  return withCluster(flags, async (cluster) => {
    const refused = (error: unknown): never => {
      throw refusedFor(error, 'step-down', name, ['get', 'update', 'watch']);
    };
    return request(terminal, cluster, name, flags).catch(refused);
  });
}

async function request(
  terminal: Terminal,
  cluster: Cluster,
  name: string,
  flags: StepDownFlags,
): Promise<ExitCode> {
  const lease = await heldLease(terminal, cluster, name);
  if (lease === undefined) return EXIT.no;
  const where = `${lease.namespace}/${lease.name}`;
  const holder = plain(lease.holder);
  if (flags.yes !== true) {
    const question = `Ask '${holder}' to hand over the lease '${where}'? [y/N] `;
    const answer = await terminal.ask(question);
    if (!/^y(es)?$/i.test(answer.trim())) {
      terminal.warn('Nothing was asked.');
      return EXIT.no;
    }
  }
  const asked = new Request(terminal, cluster, lease);
  const version = await asked.ask();
  if (flags.json !== true) terminal.write(`Asked '${holder}' to hand over the lease '${where}'.\n`);
  const outcome = await asked.await(version, flags.timeout);
  terminal.write(
    flags.json === true
      ? `${json({ lease: where, from: lease.holder, ...outcome })}\n`
      : `${textOf(outcome, lease, flags.timeout)}\n`,
  );
  return outcome.kind === 'handedOver' ? EXIT.ok : EXIT.no;
}

/** The Lease, if somebody holds it who can be asked. @throws CommandError for a coordinated election. */
async function heldLease(
  terminal: Terminal,
  cluster: Cluster,
  name: string,
): Promise<LeaseFacts | undefined> {
  const { leases, serverTime } = await cluster.observer(name).read(terminal.signal);
  const [lease] = leases;
  if (lease === undefined || lease.holder === '') {
    terminal.warn(
      lease === undefined
        ? `There is no Lease '${name}' in namespace '${cluster.namespace}'.`
        : `Nobody holds the lease '${cluster.namespace}/${name}'.`,
    );
    return undefined;
  }
  const { state, renewedAgoMs, leaseDurationMs } = viewOf(lease, { serverNow: serverTime });
  if (state === 'expired') {
    const since = ageText((renewedAgoMs ?? 0) - (leaseDurationMs ?? 0));
    terminal.warn(
      `'${plain(lease.holder)}' does not renew the lease '${cluster.namespace}/${name}', which expired ${since} ago: nobody is there ` +
        `to be asked. Whoever campaigns takes it.`,
    );
    return undefined;
  }
  if (lease.strategy !== undefined)
    throw new CommandError(
      `The API server chooses the holder of '${cluster.namespace}/${name}' (strategy ${plain(lease.strategy)}): a request to hand over ` +
        `would change nothing. To move it, stop the process that holds it.`,
    );
  return lease;
}

/** One request to hand over. */
class Request {
  readonly #terminal: Terminal;
  readonly #cluster: Cluster;
  readonly #lease: LeaseFacts;
  readonly #lock: KubernetesLeaseLock;
  /** The name of who asks; no holder has it. */
  readonly #asker: string;
  #askedAt = systemClock.now();

  constructor(terminal: Terminal, cluster: Cluster, lease: LeaseFacts) {
    this.#terminal = terminal;
    this.#cluster = cluster;
    this.#lease = lease;
    const { name, namespace } = lease;
    this.#lock = new KubernetesLeaseLock(cluster.connection, { name, namespace, labels: {} });
    this.#asker = `step-down-command_${systemClock.random().toString(36).slice(2, 10)}`;
  }

  /** Writes the request. @returns the version of the Lease with it. @throws CommandError if there is another holder by now. */
  async ask(): Promise<string> {
    for (let tried = 0; tried < TRIES; tried += 1) {
      const base = await this.#withDeadline((signal) => this.#lock.get({ signal, newConnection: false }));
      if (base === undefined || !this.#isOfHolder(base))
        throw new CommandError(
          `'${plain(this.#lease.holder)}' no longer holds the lease, so nobody was asked.`,
          EXIT.no,
        );
      this.#askedAt = systemClock.now();
      const outcome = await this.#update(base, { ...base.record, wantedBy: this.#asker });
      if (outcome !== undefined) return outcome.resourceVersion;
    }
    throw new CommandError(
      `The Lease changed ${String(TRIES)} times while it was to be written: nobody was asked. Try again.`,
    );
  }

  /** Waits for what becomes of the request. */
  async await(version: string, timeoutMs: number): Promise<Outcome> {
    const error = (): Error => new Error('timeout');
    const stop = new AbortController();
    const bound = boundSignal({
      signal: AbortSignal.any([this.#terminal.signal, stop.signal]),
      deadline: { clock: systemClock, ms: timeoutMs, error },
    });
    const follower = new Follower(this.#lease, this.#asker, this.#askedAt);
    const see = (lease: LeaseFacts | undefined, isNext: boolean): void => {
      if (follower.see(lease, isNext && lease?.isOurs === true ? lease.resourceVersion : null)) stop.abort();
    };
    const observer = this.#cluster.observer(this.#lease.name, this.#lease.namespace);
    try {
      let from: string | undefined = version;
      while (!bound.signal.aborted) {
        const change = ({ kind, lease }: { kind: 'seen' | 'deleted'; lease: LeaseFacts }): void => {
          see(kind === 'seen' ? lease : undefined, true);
        };
        // Without a watch, for example without permission to watch, the Lease is read again and again.
        await observer
          .watch(from, { change }, bound.signal)
          .catch(() => pause(systemClock, POLL_MS, bound.signal));
        await observer.read(bound.signal).then(
          ({ leases, resourceVersion }) => {
            from = resourceVersion;
            see(leases[0], false);
          },
          () => undefined,
        );
      }
    } finally {
      bound.dispose();
    }
    return follower.outcome ?? this.#withdraw(follower);
  }

  /** Looks once more, and takes the request back if nothing came of it, so that it surprises nobody later. */
  async #withdraw(follower: Follower): Promise<Outcome> {
    const interrupted = this.#terminal.signal.aborted;
    const noAnswer = (withdrawn: boolean): Outcome => ({ kind: 'noAnswer', withdrawn, interrupted });
    try {
      for (let tried = 0; tried < TRIES; tried += 1) {
        const base = await this.#withDeadline((signal) => this.#lock.get({ signal, newConnection: false }));
        follower.see(base && { ...base.record, holder: base.record.holderIdentity });
        if (base === undefined || follower.outcome !== undefined) break;
        const { wantedBy: _, ...record } = base.record;
        if ((await this.#update(base, record)) !== undefined) return noAnswer(true);
      }
    } catch (error) {
      // Whoever waited must be told that the request still stands.
      if (!isLeaderError(error)) throw error;
    }
    return follower.outcome ?? noAnswer(false);
  }

  #isOfHolder({ record, uid }: LeaseSnapshot): boolean {
    return uid === this.#lease.uid && record.holderIdentity === this.#lease.holder;
  }

  async #update(base: LeaseSnapshot, record: LeaseSnapshot['record']): Promise<LeaseSnapshot | undefined> {
    const outcome = await this.#withDeadline((signal) =>
      this.#lock.update(base, record, { signal, newConnection: false }),
    );
    return outcome.kind === 'written' ? outcome.snapshot : undefined;
  }

  /** Also after SIGINT: a request that was written must be taken back. */
  async #withDeadline<T>(send: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const error = (): Error => new Error(`There was no answer within ${String(PATIENCE_MS)} ms.`);
    const bound = boundSignal({ deadline: { clock: systemClock, ms: PATIENCE_MS, error } });
    try {
      return await send(bound.signal);
    } finally {
      bound.dispose();
    }
  }
}

const POLL_MS = 500;

/** Concludes from the states of the Lease what became of the request. */
class Follower {
  readonly #lease: LeaseFacts;
  readonly #asker: string;
  readonly #askedAt: number;
  #releasedMs: number | undefined;
  #outcome: Outcome | undefined;

  constructor(lease: LeaseFacts, asker: string, askedAt: number) {
    this.#lease = lease;
    this.#asker = asker;
    this.#askedAt = askedAt;
  }

  get outcome(): Outcome | undefined {
    if (this.#outcome !== undefined || this.#releasedMs === undefined) return this.#outcome;
    return { kind: 'released', ms: this.#releasedMs };
  }

  /**
   * @param token the fencing token, if the term of another process begins with this state.
   * @returns whether the outcome is known.
   */
  see(lease: Seen | undefined, token: string | null = null): boolean {
    const { holder, acquireTime } = this.#lease;
    const now = Math.round(systemClock.now() - this.#askedAt);
    if (lease === undefined) this.#outcome = { kind: 'deleted' };
    else if (lease.holder === '') this.#releasedMs ??= now;
    else if (lease.holder !== holder)
      this.#outcome = { kind: 'handedOver', to: lease.holder, ms: now, token };
    else if (lease.acquireTime !== acquireTime) this.#outcome = { kind: 'takenAgain', ms: now };
    else if (lease.wantedBy !== this.#asker) this.#outcome = { kind: 'ignored' };
    return this.#outcome !== undefined;
  }
}

/** What a state of the Lease shows. */
interface Seen {
  readonly holder: string;
  readonly acquireTime: string | undefined;
  readonly wantedBy?: string | undefined;
}

function textOf(outcome: Outcome, { holder: who, isOurs }: LeaseFacts, timeoutMs: number): string {
  const holder = plain(who);
  switch (outcome.kind) {
    case 'handedOver': {
      const token = outcome.token === null ? '' : ` Its fencing token is ${outcome.token}.`;
      return `Handed over to '${plain(outcome.to)}' after ${ms(outcome.ms)}.${token}`;
    }
    case 'released':
      return `'${holder}' released the lease after ${ms(outcome.ms)}, and nobody has taken it. Is there another replica that may lead?`;
    case 'takenAgain':
      return `'${holder}' gave the lease up and took it again: no other replica took it in between. Is there one that may lead?`;
    case 'ignored':
      return `'${holder}' removed the request and keeps the lease: it runs an earlier version of nestjs-leader, or is another client.`;
    case 'deleted':
      return `The Lease was deleted meanwhile.`;
    case 'noAnswer': {
      const why = isOurs
        ? 'It may still wait for its work (drainTimeout), be cut off from the API server, or run an earlier version of nestjs-leader.'
        : 'It is another client, which knows no such requests.';
      const then = outcome.withdrawn
        ? 'The request was taken back; a hand-over that has begun goes on.'
        : `The request could not be taken back: 'kubectl annotate lease … nestjs-leader/wanted-by-' removes it.`;
      if (outcome.interrupted) return `Interrupted before '${holder}' handed over. ${then}`;
      return `'${holder}' has not handed over within ${seconds(timeoutMs)}. ${why} ${then}`;
    }
  }
}
