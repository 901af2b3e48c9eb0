/** The contract of a lock: an honest one passes, and each planted fault is found by the rule that it breaks. */
import { describe, expect, it } from 'vitest';
import {
  LeaseRequestError,
  type LeaseCall,
  type LeaseLock,
  type LeaseRecord,
  type LeaseSnapshot,
  type WatchEvent,
  type WriteOutcome,
} from '../../lib/election/index.js';
import { leaseLockContract, type LeaseLockCase } from '../../lib/testing.js';
import { MemoryLock, MemoryServer } from './memory-lock.js';

/** Bounds the wait for what a faulty lock never does. The honest one waits for nothing. */
const PATIENCE_MS = 500;

/** The contract, on a lock of this kind. */
function contractOf(kind: new (server: MemoryServer) => LeaseLock): readonly LeaseLockCase[] {
  return leaseLockContract(() => new MemoryServer(kind), { patienceMs: PATIENCE_MS });
}

/** Changes what the honest lock returns for each snapshot. */
abstract class ChangingLock extends MemoryLock {
  protected abstract changed(snapshot: LeaseSnapshot): LeaseSnapshot;

  override async get(call: LeaseCall): Promise<LeaseSnapshot | undefined> {
    const snapshot = await super.get(call);
    return snapshot && this.changed(snapshot);
  }

  override async create(record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
    return this.#changed(await super.create(record, call));
  }

  override async update(base: LeaseSnapshot, record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
    return this.#changed(await super.update(base, record, call));
  }

  #changed(outcome: WriteOutcome): WriteOutcome {
    return outcome.kind === 'conflict'
      ? outcome
      : { kind: 'written', snapshot: this.changed(outcome.snapshot) };
  }
}

/** Passes some events of a watch on, and changes others. */
abstract class OtherWatchLock extends MemoryLock {
  protected abstract passedOn(event: WatchEvent): WatchEvent | undefined;

  override watch(onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void> {
    return super.watch((event) => {
      const passed = this.passedOn(event);
      if (passed !== undefined) onEvent(passed);
    }, signal);
  }
}

let described = 0;

/** Each fault, and the beginning of the first rule that it breaks. */
const FAULTS: readonly (readonly [
  fault: string,
  rule: string,
  kind: new (server: MemoryServer) => LeaseLock,
])[] = [
  [
    'describes each lock differently',
    'describe() names',
    class extends MemoryLock {
      readonly #name = `lease ${String((described += 1))}`;
      override describe(): string {
        return this.#name;
      }
    },
  ],
  [
    'has an empty description',
    'describe() names',
    class extends MemoryLock {
      override describe(): string {
        return ' ';
      }
    },
  ],
  [
    'invents a lease where there is none',
    'get() returns undefined',
    class extends MemoryLock {
      override async get(call: LeaseCall): Promise<LeaseSnapshot | undefined> {
        const record = { holderIdentity: '', leaseDurationSeconds: 1, leaseTransitions: 0 };
        const none = { acquireTime: undefined, renewTime: undefined };
        return (await super.get(call)) ?? { record: { ...record, ...none }, uid: '', resourceVersion: '0' };
      }
    },
  ],
  [
    'reads what it has read before',
    'get() returns undefined',
    class extends MemoryLock {
      #read: LeaseSnapshot | undefined;
      override async get(call: LeaseCall): Promise<LeaseSnapshot | undefined> {
        this.#read = (await super.get(call)) ?? this.#read;
        return this.#read;
      }
      override async create(record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
        const outcome = await super.create(record, call);
        if (outcome.kind === 'written') this.#read = outcome.snapshot;
        return outcome;
      }
    },
  ],
  [
    'has versions that are no numbers',
    'create() stores',
    class extends ChangingLock {
      protected override changed(snapshot: LeaseSnapshot): LeaseSnapshot {
        return { ...snapshot, resourceVersion: `v${snapshot.resourceVersion}` };
      }
    },
  ],
  [
    'overwrites the lease when it creates one',
    'create() is a conflict',
    class extends MemoryLock {
      override create(record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
        return this.request(call.newConnection, call.signal, () => {
          const uid = this.server.stored?.uid ?? this.server.newUid();
          return { kind: 'written', snapshot: this.server.store(uid, record) };
        });
      }
    },
  ],
  [
    'looks whether there is a lease, and creates it later',
    'create() succeeds for one',
    class extends MemoryLock {
      override async create(record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
        if ((await super.get(call)) !== undefined) return { kind: 'conflict' };
        return this.request(call.newConnection, call.signal, () => ({
          kind: 'written',
          snapshot: this.server.store(this.server.newUid(), record),
        }));
      }
    },
  ],
  [
    'cuts times to milliseconds',
    'create() stores',
    class extends MemoryLock {
      override create(record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
        const renewTime = record.renewTime?.replace(/\d{3}Z$/, '000Z') as LeaseRecord['renewTime'];
        return super.create({ ...record, renewTime }, call);
      }
    },
  ],
  ...(['wantedBy', 'process'] as const).map(
    (field) =>
      [
        `does not store ${field}`,
        'update() keeps every field',
        class extends ChangingLock {
          protected override changed(snapshot: LeaseSnapshot): LeaseSnapshot {
            return { ...snapshot, record: { ...snapshot.record, [field]: undefined } };
          }
        },
      ] as const,
  ),
  [
    'keeps fields that an update lacks',
    'update() keeps every field',
    class extends MemoryLock {
      override update(base: LeaseSnapshot, record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
        return super.update(base, { ...base.record, ...record }, call);
      }
    },
  ],
  [
    'cuts long identities',
    'update() keeps every field',
    class extends MemoryLock {
      override update(base: LeaseSnapshot, record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
        return super.update(base, { ...record, holderIdentity: record.holderIdentity.slice(0, 255) }, call);
      }
    },
  ],
  [
    'gives each update another uid',
    'update() keeps the uid',
    class extends MemoryLock {
      override update(base: LeaseSnapshot, record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
        return this.request(call.newConnection, call.signal, () => {
          if (!this.isPresent(base)) return { kind: 'conflict' };
          return { kind: 'written', snapshot: this.server.store(this.server.newUid(), record) };
        });
      }
    },
  ],
  [
    'keeps the version when it updates',
    'update() keeps the uid',
    class extends MemoryLock {
      override update(base: LeaseSnapshot, record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
        return this.request(call.newConnection, call.signal, () => {
          if (!this.isPresent(base)) return { kind: 'conflict' };
          const snapshot = { ...base, record };
          this.server.stored = snapshot;
          this.server.tell({ kind: 'seen', snapshot });
          return { kind: 'written', snapshot };
        });
      }
    },
  ],
  [
    'ignores the version when it updates',
    'update() is a conflict on top of an older',
    class extends MemoryLock {
      protected override isPresent({ uid }: LeaseSnapshot): boolean {
        return this.server.stored?.uid === uid;
      }
    },
  ],
  [
    'compares records in place of versions',
    'update() is a conflict on top of an older',
    class extends MemoryLock {
      protected override isPresent({ uid, record }: LeaseSnapshot): boolean {
        const { stored } = this.server;
        return stored?.uid === uid && stored.record.holderIdentity === record.holderIdentity;
      }
    },
  ],
  [
    'compares the version, and writes later',
    'update() succeeds for one',
    class extends MemoryLock {
      override async update(
        base: LeaseSnapshot,
        record: LeaseRecord,
        call: LeaseCall,
      ): Promise<WriteOutcome> {
        if ((await super.get(call))?.resourceVersion !== base.resourceVersion) return { kind: 'conflict' };
        return this.request(call.newConnection, call.signal, () => ({
          kind: 'written',
          snapshot: this.server.store(base.uid, record),
        }));
      }
    },
  ],
  [
    'creates the lease when it updates a deleted one',
    'update() is a conflict if the lease was deleted',
    class extends MemoryLock {
      protected override isPresent(base: LeaseSnapshot): boolean {
        return this.server.stored === undefined || super.isPresent(base);
      }
    },
  ],
  [
    'ignores the uid when it updates',
    'a lease that is created again',
    class extends MemoryLock {
      protected override isPresent({ resourceVersion }: LeaseSnapshot): boolean {
        return this.server.stored?.resourceVersion === resourceVersion;
      }
    },
  ],
  [
    'counts versions from the beginning after a deletion',
    'a lease that is created again',
    class extends MemoryLock {
      override create(record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
        if (this.server.stored === undefined) this.server.resetVersion();
        return super.create(record, call);
      }
    },
  ],
  [
    'gives a lease that is created again the old uid',
    'a lease that is created again',
    class extends MemoryLock {
      override create(record: LeaseRecord, call: LeaseCall): Promise<WriteOutcome> {
        return this.request(call.newConnection, call.signal, () => {
          if (this.server.stored !== undefined) return { kind: 'conflict' };
          return { kind: 'written', snapshot: this.server.store('the lease', record) };
        });
      }
    },
  ],
  [
    'says that a write without an answer was not carried out',
    'a request ends when its signal fires',
    class extends MemoryLock {
      protected override endedBy(): unknown {
        return new LeaseRequestError('LEADER_REQUEST_TIMEOUT', 'No answer.', { maybeCommitted: false });
      }
    },
  ],
  [
    "throws the signal's reason",
    'a request ends when its signal fires',
    class extends MemoryLock {
      protected override endedBy(signal: AbortSignal): unknown {
        return signal.reason;
      }
    },
  ],
  [
    'takes no new connection',
    'a request with newConnection',
    class extends MemoryLock {
      protected override request<T>(_: boolean, signal: AbortSignal, carryOut: () => T): Promise<T> {
        return super.request(false, signal, carryOut);
      }
    },
  ],
  [
    'does not report the present lease',
    'watch() reports that it is open',
    class extends OtherWatchLock {
      #isOpen = false;
      protected override passedOn(event: WatchEvent): WatchEvent | undefined {
        // What comes in the same turn as the opening is the present lease.
        if (event.kind === 'opened') queueMicrotask(() => (this.#isOpen = true));
        return event.kind === 'seen' && !this.#isOpen ? undefined : event;
      }
    },
  ],
  [
    'does not report that it is open',
    'watch() reports that it is open',
    class extends OtherWatchLock {
      protected override passedOn(event: WatchEvent): WatchEvent | undefined {
        return event.kind === 'opened' ? undefined : event;
      }
    },
  ],
  [
    'misses deletions',
    'watch() reports a deletion',
    class extends OtherWatchLock {
      protected override passedOn(event: WatchEvent): WatchEvent | undefined {
        return event.kind === 'deleted' ? undefined : event;
      }
    },
  ],
  [
    'gives a deletion the version of the lease',
    'watch() reports a deletion',
    class extends OtherWatchLock {
      #last = '0';
      protected override passedOn(event: WatchEvent): WatchEvent | undefined {
        if (event.kind === 'seen') this.#last = event.snapshot.resourceVersion;
        return event.kind === 'deleted' ? { ...event, resourceVersion: this.#last } : event;
      }
    },
  ],
  [
    'goes on reporting after the signal',
    'watch() resolves when its signal fires',
    class extends MemoryLock {
      override watch(onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void> {
        this.server.watchers.add(onEvent);
        onEvent({ kind: 'opened' });
        const { stored } = this.server;
        if (stored !== undefined) onEvent({ kind: 'seen', snapshot: stored });
        return new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            resolve();
          });
          if (signal.aborted) resolve();
        });
      }
    },
  ],
  [
    'rejects when the signal fires',
    'watch() reports that it is open',
    class extends MemoryLock {
      override async watch(onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void> {
        await super.watch(onEvent, signal);
        throw signal.reason;
      }
    },
  ],
  [
    'opens although the signal has fired',
    'watch() resolves without an event',
    class extends MemoryLock {
      override watch(onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void> {
        if (signal.aborted) onEvent({ kind: 'opened' });
        return super.watch(onEvent, signal);
      }
    },
  ],
];

describe('an honest lock', () => {
  for (const { name, run } of contractOf(MemoryLock)) it(name, run);
});

it.each(FAULTS)('a lock that %s breaks the rule “%s…”', async (_fault, rule, kind) => {
  const broken: string[] = [];
  for (const { name, run } of contractOf(kind)) {
    await run().catch(() => broken.push(name));
    if (broken.length > 0) break;
  }
  expect(broken.map((name) => name.slice(0, rule.length))).toEqual([rule]);
});
