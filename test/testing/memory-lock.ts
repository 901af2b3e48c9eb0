/** A lock on a lease in memory, for applications and elections that bring their own. */
import {
  LeaseRequestError,
  type LeaseCall,
  type LeaseLock,
  type LeaseRecord,
  type LeaseSnapshot,
  type WatchEvent,
  type WriteOutcome,
} from '../../lib/election/index.js';
import type { LeaseLockSetup } from '../../lib/testing.js';

/** A lease in memory, as a server keeps it. */
export class MemoryServer implements LeaseLockSetup {
  stored: LeaseSnapshot | undefined;
  readonly watchers = new Set<(event: WatchEvent) => void>();
  connections = 0;
  /** The answers of connections up to this one are lost. */
  lostUpTo = 0;
  #version = 8;
  #created = 0;
  readonly #kind: new (server: MemoryServer) => LeaseLock;

  constructor(kind: new (server: MemoryServer) => LeaseLock = MemoryLock) {
    this.#kind = kind;
  }

  lock(): LeaseLock {
    return new this.#kind(this);
  }

  delete(): Promise<void> {
    this.stored = undefined;
    this.tell({ kind: 'deleted', resourceVersion: this.nextVersion() });
    return Promise.resolve();
  }

  loseReplies(): void {
    this.lostUpTo = this.connections;
  }

  nextVersion(): string {
    this.#version += 1;
    return String(this.#version);
  }

  resetVersion(): void {
    this.#version = 0;
  }

  newUid(): string {
    this.#created += 1;
    return `uid-${String(this.#created)}`;
  }

  store(uid: string, record: LeaseRecord): LeaseSnapshot {
    this.stored = { uid, record, resourceVersion: this.nextVersion() };
    this.tell({ kind: 'seen', snapshot: this.stored });
    return this.stored;
  }

  tell(event: WatchEvent): void {
    for (const watcher of this.watchers) queueMicrotask(() => watcher(event));
  }
}

/** Keeps its side of the contract. */
export class MemoryLock implements LeaseLock {
  protected readonly server: MemoryServer;
  #connection = 0;

  constructor(server: MemoryServer) {
    this.server = server;
  }

  describe(): string {
    return 'memory/lease';
  }

  get({ signal, newConnection }: LeaseCall): Promise<LeaseSnapshot | undefined> {
    return this.request(newConnection, signal, () => this.server.stored);
  }

  create(record: LeaseRecord, { signal, newConnection }: LeaseCall): Promise<WriteOutcome> {
    return this.request(newConnection, signal, () => {
      if (this.server.stored !== undefined) return { kind: 'conflict' };
      return { kind: 'written', snapshot: this.server.store(this.server.newUid(), record) };
    });
  }

  update(
    base: LeaseSnapshot,
    record: LeaseRecord,
    { signal, newConnection }: LeaseCall,
  ): Promise<WriteOutcome> {
    return this.request(newConnection, signal, () => {
      if (!this.isPresent(base)) return { kind: 'conflict' };
      return { kind: 'written', snapshot: this.server.store(base.uid, record) };
    });
  }

  async watch(onEvent: (event: WatchEvent) => void, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const hear = (event: WatchEvent): void => {
        if (this.server.watchers.has(hear)) onEvent(event);
      };
      signal.addEventListener('abort', () => {
        this.server.watchers.delete(hear);
        resolve();
      });
      this.server.watchers.add(hear);
      hear({ kind: 'opened' });
      const { stored } = this.server;
      if (stored !== undefined) hear({ kind: 'seen', snapshot: stored });
    });
  }

  protected isPresent({ uid, resourceVersion }: LeaseSnapshot): boolean {
    return this.server.stored?.uid === uid && this.server.stored.resourceVersion === resourceVersion;
  }

  protected async request<T>(newConnection: boolean, signal: AbortSignal, carryOut: () => T): Promise<T> {
    if (newConnection || this.#connection === 0) this.#connection = this.server.connections += 1;
    const connection = this.#connection;
    await Promise.resolve();
    const result = carryOut();
    if (connection > this.server.lostUpTo) return result;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        resolve();
      };
      signal.addEventListener('abort', end);
      if (signal.aborted) end();
    });
    throw this.endedBy(signal);
  }

  protected endedBy(_signal: AbortSignal): unknown {
    return new LeaseRequestError('LEADER_REQUEST_TIMEOUT', 'No answer.', { maybeCommitted: true });
  }
}
