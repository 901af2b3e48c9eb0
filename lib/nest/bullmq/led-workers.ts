import { LeaderError, type LeadershipTerm } from '../../election/internal.js';
import { isCreatedFromClass, type ElectionExplorer, type Wrapper } from '../election.explorer.js';
import type { LeaderService } from '../leader.service.js';
import { holdBackWorkersOf, isProcessorLedBy, type ProcessorClass } from './jobs.js';

/** The members of a BullMQ worker that this package uses, all of them public. */
export interface Worker {
  run(): Promise<void>;
  resume(): unknown;
  pause(doNotWaitActive?: boolean): Promise<void>;
  isRunning(): boolean;
  isPaused(): boolean;
  emit(event: 'error', error: unknown): boolean;
  /** Set when the application closes the worker. */
  readonly closing?: unknown;
  /** Resolves when the worker is connected; in bullmq 5 with the connection on which it waits for jobs. */
  waitUntilReady(): Promise<unknown>;
  /** In bullmq 6: has the connection on which the worker waits for jobs. */
  getBackend?(): { readonly blockingClient?: Promise<unknown> };
}

/** The processors whose `process` one election gates. Their workers run in terms of the election only. */
export class LedWorkers {
  readonly #leader: LeaderService;
  readonly #explorer: ElectionExplorer;
  readonly #warn: (line: string) => void;
  readonly #led = new Map<Worker, LedWorker>();

  constructor(leader: LeaderService, explorer: ElectionExplorer, warn: (line: string) => void) {
    this.#leader = leader;
    this.#explorer = explorer;
    this.#warn = warn;
  }

  /**
   * To be called before any module's onModuleInit, in which @nestjs/bullmq creates its workers. The decorator cannot do it: a
   * `@Processor()` above it would overwrite the options.
   */
  holdBackAll(): void {
    for (const { processor } of this.#processors()) holdBackWorkersOf(processor);
  }

  /** @throws LeaderError `LEADER_MODULE_MISSING` for a processor that Nest did not create: its gate has no election. */
  checkAll(): void {
    for (const wrapper of this.#explorer.providers) {
      const type = (wrapper.instance as object | undefined)?.constructor;
      if (wrapper.isAlias || isCreatedFromClass(wrapper) || !this.#leads(type)) continue;
      throw new LeaderError(
        'LEADER_MODULE_MISSING',
        `${type.name}.process() is under @OnlyWhenLeader(), but its instance comes from useFactory or useValue, so the ` +
          `election '${this.#leader.election}' is not in its reach. Provide the class itself: providers: [${type.name}].`,
      );
    }
  }

  /** To be called once, before the campaign. */
  bindAll(): void {
    for (const { processor, wrapper } of this.#processors()) {
      this.#leader.on('startedLeading', ({ term }) => {
        this.#lead(processor, wrapper.instance as { readonly worker: Worker }, term);
      });
    }
  }

  /** Finds the worker at each term: with `manualRegistration` the application decides when it is created. */
  #lead(processor: ProcessorClass, host: { readonly worker: Worker }, term: LeadershipTerm): void {
    let worker: Worker;
    try {
      ({ worker } = host);
    } catch {
      this.#warn(
        `${processor.name} has no worker, so its jobs wait: call BullRegistrar.register() before the application has ` +
          `started, for example in an onApplicationBootstrap. One that is registered now runs from the next term on.`,
      );
      return;
    }
    const led = this.#led.get(worker) ?? new LedWorker(worker, this.#warn);
    this.#led.set(worker, led);
    led.lead(term);
  }

  /** The instances that have the workers. A request-scoped class has one, too, besides an instance for each job. */
  #processors(): { processor: ProcessorClass; wrapper: Wrapper }[] {
    return this.#explorer.providers.flatMap((wrapper) => {
      const processor: unknown = wrapper.metatype;
      return isCreatedFromClass(wrapper) && this.#leads(processor) ? [{ processor, wrapper }] : [];
    });
  }

  #leads(candidate: unknown): candidate is ProcessorClass {
    return isProcessorLedBy(this.#leader.election, candidate);
  }
}

/**
 * A worker that fetches jobs in terms only.
 *
 * `pause()` stops fetching before it returns, aborts a fetch that waits for a job, and resolves when the running jobs have ended. A
 * job that was being fetched at that moment gets to the gate, which puts it back.
 *
 * While Redis cannot be reached there is no fetch to abort, and an attempt would lose the connection for good: if ioredis is
 * disconnected while it waits to reconnect, it neither ends nor reconnects, and `pause()` waits for one of the two (seen with
 * bullmq 5.81 and 6.7).
 */
export class LedWorker {
  readonly #worker: Worker;
  readonly #warn: (line: string) => void;
  /** The connection on which the worker waits for jobs. */
  #connection: unknown;
  /** Resolves when the last pause is complete. A worker that is resumed before runs without its check for stalled jobs. */
  #paused: Promise<unknown> = Promise.resolve();

  constructor(worker: Worker, warn: (line: string) => void) {
    this.#worker = worker;
    this.#warn = warn;
  }

  /** Fetches jobs from now until the term's signal fires. */
  lead(term: LeadershipTerm): void {
    const onOver = (): void => {
      this.#pause();
    };
    term.signal.addEventListener('abort', onOver, { once: true });
    void this.#paused.then(() => {
      if (!term.isOver) this.#start();
    });
  }

  #start(): void {
    const worker = this.#worker;
    void waitingConnection(worker).then((connection) => {
      this.#connection = connection;
    });
    if (worker.isPaused()) worker.resume();
    // As in a worker with `autorun`.
    else if (!worker.isRunning()) worker.run().catch((error: unknown) => worker.emit('error', error));
  }

  #pause(): void {
    const atOnce = !isConnected(this.#connection);
    const pausing = this.#worker.pause(atOnce).catch((error: unknown) => {
      // The application has closed the worker, and its connection with it.
      if (this.#worker.closing !== undefined) return;
      this.#warn(
        `A BullMQ worker fetches no jobs, because its term ended, but pausing it reported: ${String(error)}`,
      );
    });
    this.#paused = Promise.all([this.#paused, pausing]);
  }
}

/** The connection on which a worker waits for jobs, when it is open; undefined if it cannot be opened: the worker reports that. */
async function waitingConnection(worker: Worker): Promise<unknown> {
  try {
    return (await worker.waitUntilReady()) ?? (await worker.getBackend?.().blockingClient);
  } catch {
    return undefined;
  }
}

/** Whether a Redis client has a socket. True if its status is unknown. The status of a cluster is `connect`. */
function isConnected(connection: unknown): boolean {
  const { status } = (connection ?? {}) as { readonly status?: unknown };
  return ['ready', 'connect', undefined].includes(status as string | undefined);
}
