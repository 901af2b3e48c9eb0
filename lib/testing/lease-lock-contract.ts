import { deepEqual, equal, fail, notEqual, ok } from 'node:assert/strict';
import { inspect } from 'node:util';
import {
  SystemClock,
  bounded,
  isLeaderError,
  isNewer,
  pause,
  type LeaseCall,
  type LeaseLock,
  type LeaseRecord,
  type LeaseSnapshot,
  type MicroTime,
  type WatchEvent,
  type WriteOutcome,
} from '../election/internal.js';

/** A lease that does not exist yet, and what a case of the contract does to it. Each case gets a set-up of its own. */
export interface LeaseLockSetup {
  /** A new lock on the lease, with connections of its own, as in another process. */
  lock(): LeaseLock;
  /** Deletes the lease by hand, and not through a lock. */
  delete(): Promise<void>;
  /**
   * From now on the connections that exist carry no answers. They stay open, and what is sent on them arrives. New connections
   * work. A proxy between the locks and the server can do that.
   */
  loseReplies?(): void | Promise<void>;
  /** Called when the case has ended: closes what the set-up has opened. */
  end?(): void | Promise<void>;
}

/** What cannot be tested: the lock has no `watch`, or the set-up no `loseReplies`. */
export type LeaseLockContractPart = 'watch' | 'loseReplies';

/** What a contract is checked with. */
export interface LeaseLockContractOptions {
  /** Cases that need one of these are left out. Default: none. */
  readonly without?: readonly LeaseLockContractPart[];
  /** How many milliseconds one step of a case may take until the case fails. Default 10000. */
  readonly patienceMs?: number;
}

/** One rule of the contract. `run` rejects if the lock breaks it. */
export interface LeaseLockCase {
  readonly name: string;
  run(): Promise<void>;
}

/**
 * The contract of a {@link LeaseLock}: what an election relies on, one case a rule, for any test runner.
 *
 * ```ts
 * for (const { name, run } of leaseLockContract(() => new MySetup())) it(name, run);
 * ```
 *
 * @param makeSetup called once in each case.
 */
export function leaseLockContract(
  makeSetup: () => LeaseLockSetup | Promise<LeaseLockSetup>,
  { without = [], patienceMs = 10_000 }: LeaseLockContractOptions = {},
): readonly LeaseLockCase[] {
  return RULES.filter(({ needs }) => needs === undefined || !without.includes(needs)).map((rule) => ({
    name: rule.name,
    run: async () => {
      const { needs } = rule;
      const setup = await makeSetup();
      try {
        if (needs === 'loseReplies' && setup.loseReplies === undefined) throw missing(needs);
        if (needs === 'watch' && setup.lock().watch === undefined) throw missing(needs);
        await rule.check(new Lease(setup, patienceMs));
      } finally {
        await setup.end?.();
      }
    },
  }));
}

function missing(part: LeaseLockContractPart): Error {
  return new Error(
    `There is no function ${part}(). Add it, or leave out the cases that need it: ` +
      `leaseLockContract(makeSetup, { without: ['${part}'] }).`,
  );
}

interface Rule {
  readonly name: string;
  readonly needs?: LeaseLockContractPart;
  check(lease: Lease): Promise<void>;
}

const clock = new SystemClock();
const LOOK_EACH_MS = 10;
const RESEND_AFTER_MS = 2_000;

/** The lease of a case. */
class Lease {
  readonly #setup: LeaseLockSetup;
  readonly #patienceMs: number;

  constructor(setup: LeaseLockSetup, patienceMs: number) {
    this.#setup = setup;
    this.#patienceMs = patienceMs;
  }

  client(): Client {
    return new Client(this, this.#setup.lock());
  }

  delete(): Promise<void> {
    return this.within(this.#setup.delete(), 'to delete the lease');
  }

  async loseReplies(): Promise<void> {
    await this.#setup.loseReplies?.();
  }

  /** Settles as `promise` does; rejects if that takes too long. */
  within<T>(promise: PromiseLike<T>, what: string): Promise<T> {
    const error = (): Error => new Error(`It took longer than ${String(this.#patienceMs)} ms ${what}.`);
    return bounded({ deadline: { clock, ms: this.#patienceMs, error } }, () => promise);
  }
}

function call(parts: Partial<LeaseCall> = {}): LeaseCall {
  return { signal: new AbortController().signal, newConnection: false, ...parts };
}

/** A lock whose calls all have a limit of time. */
class Client {
  readonly lock: LeaseLock;
  readonly lease: Lease;

  constructor(lease: Lease, lock: LeaseLock) {
    this.lease = lease;
    this.lock = lock;
  }

  get(parts?: Partial<LeaseCall>): Promise<LeaseSnapshot | undefined> {
    return this.lease.within(this.lock.get(call(parts)), 'to read the lease');
  }

  create(record: LeaseRecord): Promise<WriteOutcome> {
    return this.lease.within(this.lock.create(record, call()), 'to create the lease');
  }

  update(base: LeaseSnapshot, record: LeaseRecord): Promise<WriteOutcome> {
    return this.lease.within(this.lock.update(base, record, call()), 'to update the lease');
  }

  async created(record: LeaseRecord): Promise<LeaseSnapshot> {
    return written(await this.create(record));
  }

  async updated(base: LeaseSnapshot, record: LeaseRecord): Promise<LeaseSnapshot> {
    return written(await this.update(base, record));
  }

  /** The lease, which must exist. */
  async present(): Promise<LeaseSnapshot> {
    return (await this.get()) ?? fail('get() returned undefined, although the lease exists');
  }
}

function written(outcome: WriteOutcome): LeaseSnapshot {
  if (outcome.kind === 'written') return outcome.snapshot;
  return fail('a write was refused as a conflict, although it was based on the present lease');
}

/** The record of a holder. Times of different holders differ. */
function heldBy(holderIdentity: string, more: Partial<LeaseRecord> = {}): LeaseRecord {
  const micros = String(holderIdentity.codePointAt(0) ?? 0).padStart(6, '0');
  const time = `2026-01-01T00:00:00.${micros}Z` as MicroTime;
  return {
    holderIdentity,
    leaseDurationSeconds: 15,
    acquireTime: time,
    renewTime: time,
    leaseTransitions: 0,
    ...more,
  };
}

/** All fields of a record; those that it lacks are undefined. */
function fieldsOf(record: LeaseRecord): object {
  const { holderIdentity, leaseDurationSeconds, acquireTime, renewTime, leaseTransitions } = record;
  const { wantedBy, process } = record;
  return {
    holderIdentity,
    leaseDurationSeconds,
    acquireTime,
    renewTime,
    leaseTransitions,
    wantedBy,
    process,
  };
}

function sameFields(seen: LeaseRecord | undefined, expected: LeaseRecord, where: string): void {
  deepEqual(seen && fieldsOf(seen), fieldsOf(expected), `${where} is another record than was written`);
}

function sameLease(seen: LeaseSnapshot, expected: LeaseSnapshot, where: string): void {
  sameFields(seen.record, expected.record, where);
  const identityOf = ({ uid, resourceVersion }: LeaseSnapshot): object => ({ uid, resourceVersion });
  deepEqual(identityOf(seen), identityOf(expected), `${where} has another uid or resourceVersion`);
}

function growing(...versions: readonly string[]): void {
  for (const version of versions)
    ok(/^\d+$/.test(version), `the resourceVersion '${version}' is not a decimal number`);
  for (const [index, version] of versions.entries()) {
    const before = versions[index - 1];
    ok(
      before === undefined || isNewer(version, before),
      `the resourceVersion ${version} was given after ${String(before)}: it must be larger`,
    );
  }
}

/** What all of several writes at one time came to: one of them was carried out. */
function oneOf(outcomes: readonly WriteOutcome[]): LeaseSnapshot {
  const snapshots = outcomes.flatMap((outcome) => (outcome.kind === 'written' ? [outcome.snapshot] : []));
  equal(snapshots.length, 1, `${String(snapshots.length)} of ${String(outcomes.length)} writes at one time`);
  return snapshots[0] as LeaseSnapshot;
}

/** Records as an election writes them, one after the other. */
const SUCCESSION: readonly (readonly [what: string, record: LeaseRecord])[] = [
  ['a claim, with a note about the process', heldBy('a', { process: 'pod="x" é' })],
  ['a renewal', heldBy('a', { renewTime: '2026-01-01T00:00:03.000002Z' as MicroTime })],
  [
    'another process asks for the lease',
    heldBy('a', { renewTime: '2026-01-01T00:00:03.000002Z' as MicroTime, wantedBy: 'b' }),
  ],
  ['a release', heldBy('', { leaseDurationSeconds: 1 })],
  [
    'the largest values',
    heldBy(`${'é"\\'.repeat(99)}🙂z`, {
      leaseDurationSeconds: 2 ** 31 - 1,
      leaseTransitions: 2 ** 31 - 1,
      renewTime: '9999-12-31T23:59:59.999999Z' as MicroTime,
      wantedBy: '🙂'.repeat(150),
    }),
  ],
];

const REQUEST_RULES: readonly Rule[] = [
  {
    name: 'describe() names the lease, and always says the same',
    check: (lease) => {
      const [one, two] = [lease.client().lock, lease.client().lock];
      notEqual(one.describe().trim(), '', 'describe() returned an empty text');
      equal(one.describe(), two.describe(), 'two locks on one lease describe it differently');
      return Promise.resolve();
    },
  },
  {
    name: 'get() returns undefined while there is no lease',
    check: async (lease) => {
      const client = lease.client();
      equal(await client.get(), undefined);
      const { uid } = await client.created(heldBy('a'));
      await lease.delete();
      equal(await client.get(), undefined, `get() still returns the lease ${uid}, which was deleted`);
    },
  },
  {
    name: 'create() stores the lease, and everybody sees it at once',
    check: async (lease) => {
      const [a, b] = [lease.client(), lease.client()];
      const created = await a.created(heldBy('a'));
      sameFields(created.record, heldBy('a'), 'the outcome of create()');
      growing(created.resourceVersion);
      sameLease(await b.present(), created, 'what another lock reads');
    },
  },
  {
    name: 'create() is a conflict if the lease exists, and changes nothing',
    check: async (lease) => {
      const [a, b] = [lease.client(), lease.client()];
      const created = await a.created(heldBy('a'));
      deepEqual(await b.create(heldBy('b')), { kind: 'conflict' });
      sameLease(await b.present(), created, 'the lease after the conflict');
    },
  },
  {
    name: 'create() succeeds for one of several at one time',
    check: async (lease) => {
      const clients = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, client: lease.client() }));
      const outcomes = await Promise.all(clients.map(({ name, client }) => client.create(heldBy(name))));
      sameLease(await lease.client().present(), oneOf(outcomes), 'the lease');
    },
  },
  {
    name: 'update() keeps every field of each record that an election writes, and drops those that it lacks',
    check: async (lease) => {
      const [a, b] = [lease.client(), lease.client()];
      let base: LeaseSnapshot | undefined;
      for (const [what, record] of SUCCESSION) {
        const stored = base === undefined ? await a.created(record) : await a.updated(base, record);
        sameFields(stored.record, record, `the outcome (${what})`);
        sameLease(await b.present(), stored, `what another lock reads (${what})`);
        base = await a.present();
      }
    },
  },
  {
    name: 'update() keeps the uid, and gives each change a larger resourceVersion',
    check: async (lease) => {
      const client = lease.client();
      const first = await client.created(heldBy('a'));
      const second = await client.updated(first, heldBy('b'));
      const third = await client.updated(await client.present(), heldBy('c'));
      deepEqual([second.uid, third.uid], [first.uid, first.uid], 'an update changed the uid');
      growing(first.resourceVersion, second.resourceVersion, third.resourceVersion);
    },
  },
  {
    name: 'update() is a conflict on top of an older snapshot, and changes nothing',
    check: async (lease) => {
      const [a, b] = [lease.client(), lease.client()];
      const older = await a.created(heldBy('a'));
      const present = await b.updated(await b.present(), heldBy('b'));
      deepEqual(await a.update(older, heldBy('c')), { kind: 'conflict' });
      sameLease(await a.present(), present, 'the lease after the conflict');
      // The same record as the older one, too: versions are compared, not records.
      await b.updated(present, heldBy('a'));
      deepEqual(await a.update(older, heldBy('c')), { kind: 'conflict' });
    },
  },
  {
    name: 'update() succeeds for one of several at one time on top of one snapshot',
    check: async (lease) => {
      await lease.client().created(heldBy('a'));
      const clients = await Promise.all(
        ['b', 'c', 'd', 'e', 'f'].map(async (name) => {
          const client = lease.client();
          return { name, client, base: await client.present() };
        }),
      );
      const outcomes = await Promise.all(
        clients.map(({ name, client, base }) => client.update(base, heldBy(name))),
      );
      sameLease(await lease.client().present(), oneOf(outcomes), 'the lease');
    },
  },
  {
    name: 'update() is a conflict if the lease was deleted, and does not create it',
    check: async (lease) => {
      const client = lease.client();
      const base = await client.created(heldBy('a'));
      await lease.delete();
      deepEqual(await client.update(base, heldBy('b')), { kind: 'conflict' });
      equal(await client.get(), undefined, 'an update has created the lease');
    },
  },
  {
    name: 'a lease that is created again has another uid and a larger resourceVersion, and no update of the deleted one counts',
    check: async (lease) => {
      const client = lease.client();
      const first = await client.created(heldBy('a'));
      const last = await client.updated(first, heldBy('b'));
      await lease.delete();
      const again = await client.created(heldBy('b'));
      notEqual(again.uid, first.uid, 'the lease that was created again has the uid of the deleted one');
      growing(first.resourceVersion, last.resourceVersion, again.resourceVersion);
      // Conditional on the uid, too, even where a version were to come back.
      const ofBoth = { ...again, uid: last.uid };
      for (const base of [first, last, ofBoth])
        deepEqual(await client.update(base, heldBy('c')), { kind: 'conflict' });
      sameLease(await client.present(), again, 'the lease after the conflicts');
    },
  },
  {
    name: 'a request ends when its signal fires, and says whether it may have been carried out',
    needs: 'loseReplies',
    check: async (lease) => {
      const [client, base] = await silenced(lease);
      const reading = new AbortController();
      const read = client.lock.get(call({ signal: reading.signal }));
      reading.abort(new Error('too late'));
      await endsAsRequest(lease, read);
      const writing = new AbortController();
      const write = client.lock.update(base, heldBy('b'), call({ signal: writing.signal }));
      // Not unhandled, while this waits for the write to be carried out.
      write.catch(() => undefined);
      const witness = lease.client();
      await lease.within(untilHeldBy('b', witness), 'until an update was carried out whose answer was lost');
      writing.abort(new Error('too late'));
      const error = await endsAsRequest(lease, write);
      ok(error?.maybeCommitted !== false, 'maybeCommitted is false, although the update was carried out');
    },
  },
  {
    name: 'a request with newConnection is answered, although the connections that exist are silent',
    needs: 'loseReplies',
    check: async (lease) => {
      const [client, base] = await silenced(lease);
      const before = new AbortController();
      const read = client.lock.get(call({ signal: before.signal }));
      read.catch(() => undefined);
      sameLease(
        await lease.within(answerOnNewConnection(client), 'to read the lease'),
        base,
        'what was read',
      );
      before.abort(new Error('too late'));
      await endsAsRequest(lease, read);
    },
  },
];

/** A lock with connections that answer no more, and the lease as it is. */
async function silenced(lease: Lease): Promise<readonly [Client, LeaseSnapshot]> {
  const client = lease.client();
  const base = await client.created(heldBy('a'));
  await lease.loseReplies();
  return [client, base];
}

async function untilHeldBy(holder: string, client: Client): Promise<void> {
  while ((await client.present()).record.holderIdentity !== holder) await pause(clock, LOOK_EACH_MS);
}

/** Reads again and again, as an election does each `retryPeriod`: a connection may count as silent only after a while. */
async function answerOnNewConnection({ lock }: Client): Promise<LeaseSnapshot> {
  for (;;) {
    const attempt = new AbortController();
    const read = lock.get(call({ signal: attempt.signal, newConnection: true }));
    const answer = await Promise.race([
      read.catch(() => undefined),
      pause(clock, RESEND_AFTER_MS, attempt.signal),
    ]);
    attempt.abort(new Error('answered, or sent again'));
    if (answer !== undefined) return answer;
  }
}

/** The error of a request; undefined if it was answered after all. It must be a LeaseRequestError. */
async function endsAsRequest(
  lease: Lease,
  request: Promise<unknown>,
): Promise<{ readonly maybeCommitted: boolean } | undefined> {
  const error = await lease.within(
    request.then(
      () => undefined,
      (thrown: unknown) => thrown ?? new Error('nothing'),
    ),
    'until a request ended whose signal had fired',
  );
  if (error === undefined) return undefined;
  if (isLeaderError(error) && 'maybeCommitted' in error)
    return error as typeof error & { readonly maybeCommitted: boolean };
  return fail(`the lock threw ${inspect(error)}: it must be a LeaseRequestError`);
}

/** What a watch has reported. */
class Watching {
  readonly events: WatchEvent[] = [];
  readonly ended: Promise<void>;
  readonly #lease: Lease;
  readonly #end = new AbortController();
  #look: () => void = () => undefined;

  constructor({ lease, lock }: Client) {
    this.#lease = lease;
    const watch = lock.watch?.bind(lock) ?? fail('the lock has no watch()');
    this.ended = watch((event) => {
      this.events.push(event);
      this.#look();
    }, this.#end.signal);
    // Not unhandled, while a case waits for an event; then the wait fails.
    this.ended.catch(() => {
      this.#look();
    });
  }

  /** A watch that has opened. */
  static async opened(client: Client): Promise<Watching> {
    const watching = new Watching(client);
    await watching.until('opened', ({ kind }) => kind === 'opened');
    equal(watching.events[0]?.kind, 'opened', 'the first event of the watch is another than opened');
    return watching;
  }

  /** The first event that passes, whether or not it has come already. */
  until<T extends WatchEvent>(what: string, passes: (event: WatchEvent) => event is T): Promise<T>;
  until(what: string, passes: (event: WatchEvent) => boolean): Promise<WatchEvent>;
  until(what: string, passes: (event: WatchEvent) => boolean): Promise<WatchEvent> {
    const found = new Promise<WatchEvent>((resolve, reject) => {
      this.#look = () => {
        const event = this.events.find((each) => passes(each));
        if (event !== undefined) resolve(event);
      };
      this.#look();
      this.ended.then(() => {
        reject(new Error(`the watch ended before it reported ${what}`));
      }, reject);
    });
    return this.#lease.within(found, `until the watch reported ${what}`);
  }

  /** Waits until this very state of the lease has been reported. */
  async seen(expected: LeaseSnapshot, what: string): Promise<LeaseSnapshot> {
    const { snapshot } = await this.until(
      what,
      (event) => event.kind === 'seen' && event.snapshot.resourceVersion === expected.resourceVersion,
    ).then((event) => event as Extract<WatchEvent, { kind: 'seen' }>);
    sameLease(snapshot, expected, `what the watch reported (${what})`);
    return snapshot;
  }

  end(): Promise<void> {
    this.#end.abort(new Error('the case has ended'));
    return this.#lease.within(this.ended, 'until a watch ended whose signal had fired');
  }
}

const WATCH_RULES: readonly Rule[] = [
  {
    name: 'watch() reports that it is open, and the present lease, which can be updated',
    check: async (lease) => {
      const [a, b] = [lease.client(), lease.client()];
      const created = await a.created(heldBy('a', { wantedBy: 'b' }));
      const watching = await Watching.opened(b);
      const seen = await watching.seen(created, 'the present lease');
      await b.updated(seen, heldBy('b'));
      await watching.end();
    },
  },
  {
    name: 'watch() reports each change of a lease that is created while it is open',
    check: async (lease) => {
      const [a, b] = [lease.client(), lease.client()];
      const watching = await Watching.opened(b);
      let base = await a.created(heldBy('a'));
      await watching.seen(base, 'the creation');
      for (const holder of 'bcd') {
        base = await a.updated(base, heldBy(holder));
        await watching.seen(base, `the update by ${holder}`);
      }
      await watching.end();
    },
  },
  {
    name: 'watch() reports a deletion, with a resourceVersion between those before and after it',
    check: async (lease) => {
      const [a, b] = [lease.client(), lease.client()];
      const created = await a.created(heldBy('a'));
      const watching = await Watching.opened(b);
      await watching.seen(created, 'the present lease');
      await lease.delete();
      const deleted = await watching.until('the deletion', (event) => event.kind === 'deleted');
      const again = await a.created(heldBy('b'));
      await watching.seen(again, 'the lease that was created again');
      const { resourceVersion } = deleted;
      growing(created.resourceVersion, resourceVersion, again.resourceVersion);
      await watching.end();
    },
  },
  {
    name: 'watch() resolves when its signal fires, and reports nothing more',
    check: async (lease) => {
      const [a, b, c] = [lease.client(), lease.client(), lease.client()];
      const created = await a.created(heldBy('a'));
      const [ended, other] = [await Watching.opened(b), await Watching.opened(c)];
      await ended.seen(created, 'the present lease');
      await ended.end();
      const reported = ended.events.length;
      const updated = await a.updated(created, heldBy('b'));
      await other.seen(updated, 'an update');
      equal(ended.events.length, reported, 'a watch reported a change after its signal had fired');
      await other.end();
    },
  },
  {
    name: 'watch() resolves without an event if its signal has fired before',
    check: async (lease) => {
      const { lock } = lease.client();
      const events: WatchEvent[] = [];
      const watch = lock.watch?.((event) => void events.push(event), AbortSignal.abort(new Error('before')));
      await lease.within(
        watch ?? fail('the lock has no watch()'),
        'until a watch ended whose signal had fired',
      );
      deepEqual(events, []);
    },
  },
];

const RULES: readonly Rule[] = [
  ...REQUEST_RULES,
  ...WATCH_RULES.map((rule): Rule => ({ ...rule, needs: 'watch' })),
];
