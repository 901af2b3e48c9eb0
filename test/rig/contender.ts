/** A process that contends for a lease, with any implementation of leader election, and reports what happens. */
import { goBinary, type GoProgram } from './go-binary.js';
import { RigProcess, RigProcessEnded, type Program } from './rig-process.js';

const CONTENDER: GoProgram = { folder: 'contender', ldflags: '' };
const SAYS_WITHIN_MS = 60_000;
const ENDS_WITHIN_MS = 10_000;

export interface ContenderOptions {
  /** Path of a kubeconfig. */
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly lease: string;
  readonly identity: string;
  /** Default 15 s, 10 s and 2 s. */
  readonly leaseDurationMs?: number;
  readonly renewDeadlineMs?: number;
  readonly retryPeriodMs?: number;
}

export interface ClientGoContenderOptions extends ContenderOptions {
  /** Whether it releases the lease when it is asked to end. Default: true. */
  readonly releaseOnCancel?: boolean;
  /** How many elections it takes part in with one client, on the leases `<lease>-0`, `<lease>-1`, and so on. Default: one. */
  readonly elections?: number;
}

/** A report of a contender: a line of JSON on its standard output. */
export interface ContenderEvent {
  readonly event: 'ready' | 'started' | 'releasing' | 'stopped' | 'leader' | 'timeout';
  readonly identity: string;
  /** By the machine's monotonic clock, which `process.hrtime.bigint()` reads. */
  readonly monotonicNs: bigint;
  /** In the event `leader`: the holder that the contender saw; '' for none. */
  readonly leader: string;
  /** The name of the lease; '' if the contender takes part in a single election and does not report it. */
  readonly lease: string;
  /** The fencing token of the term, in the events `started` and `stopped`; '' if the contender does not report it. */
  readonly token: string;
}

/** The path of the program, which is built if it does not exist. */
export function clientGoContender(): Promise<string> {
  return goBinary(CONTENDER);
}

/** A running contender. */
export class Contender {
  /** All reports so far, in order. */
  readonly events: ContenderEvent[] = [];
  readonly identity: string;
  readonly #name: string;
  readonly #process: RigProcess;
  readonly #listeners = new Set<() => void>();

  /** Starts `program`, which errors call `client`. */
  constructor(
    client: string,
    identity: string,
    program: Program,
    args: readonly string[],
    env?: NodeJS.ProcessEnv,
  ) {
    this.identity = identity;
    this.#name = `${client} ${identity}`;
    const hear = (line: string): void => {
      this.events.push(parse(line));
      this.#tell();
    };
    this.#process = new RigProcess(this.#name, program, args, hear, env);
    void this.#process.exited.then(() => {
      this.#tell();
    });
  }

  get pid(): number {
    return this.#process.pid;
  }

  get hasEnded(): boolean {
    return this.#process.hasEnded;
  }

  /** The end of its standard error. */
  get log(): string {
    return this.#process.log;
  }

  /** Calls `listener` after each report and at the end, until the returned function is called. */
  observe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.signal(signal);
  }

  /**
   * The first report of this kind after an instant, past or future.
   *
   * @throws RigProcessEnded if the process ends without it, or takes longer than a minute.
   */
  said(event: ContenderEvent['event'], afterNs = 0n): Promise<ContenderEvent> {
    return new Promise((resolve, reject) => {
      const settle = (found: ContenderEvent | undefined): void => {
        clearTimeout(timer);
        unobserve();
        if (found === undefined) reject(this.#silence(event));
        else resolve(found);
      };
      const look = (): void => {
        const found = this.events.find((said) => said.event === event && said.monotonicNs > afterNs);
        if (found !== undefined || this.#process.hasEnded) settle(found);
      };
      const timer = setTimeout(settle, SAYS_WITHIN_MS, undefined);
      const unobserve = this.observe(look);
      look();
    });
  }

  freeze(): void {
    this.signal('SIGSTOP');
  }

  thaw(): void {
    this.signal('SIGCONT');
  }

  /** Asks the process to end. It releases the lease, unless it was started not to. */
  async stop(): Promise<void> {
    await this.#process.stop(ENDS_WITHIN_MS);
  }

  async kill(): Promise<void> {
    await this.#process.kill();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  #silence(event: string): RigProcessEnded {
    const instead = this.events.map((said) => said.event).join(', ') || 'nothing';
    const how = `did not say "${event}"; it said ${instead}`;
    return new RigProcessEnded(this.#name, how, this.#process.log);
  }
}

/** client-go's leader election. See contender/main.go. */
export class ClientGoContender extends Contender {
  static async start(options: ClientGoContenderOptions): Promise<ClientGoContender> {
    const program: Program = [await clientGoContender()];
    return new ClientGoContender('client-go', options.identity, program, argumentsOf(options));
  }
}

function argumentsOf(options: ClientGoContenderOptions): string[] {
  const {
    leaseDurationMs = 15_000,
    renewDeadlineMs = 10_000,
    retryPeriodMs = 2_000,
    releaseOnCancel = true,
    elections = 1,
  } = options;
  return [
    `--kubeconfig=${options.kubeconfig}`,
    `--namespace=${options.namespace}`,
    `--lease=${options.lease}`,
    `--identity=${options.identity}`,
    `--lease-duration=${String(leaseDurationMs)}ms`,
    `--renew-deadline=${String(renewDeadlineMs)}ms`,
    `--retry-period=${String(retryPeriodMs)}ms`,
    `--release-on-cancel=${String(releaseOnCancel)}`,
    `--elections=${String(elections)}`,
  ];
}

interface Line extends Omit<ContenderEvent, 'monotonicNs' | 'leader' | 'lease' | 'token'> {
  /** A string, because it is too large for a JSON number. */
  readonly monotonicNs: string;
  readonly leader?: string;
  readonly lease?: string;
  readonly token?: string;
}

function parse(line: string): ContenderEvent {
  const { event, identity, leader = '', lease = '', token = '', monotonicNs } = JSON.parse(line) as Line;
  return { event, identity, leader, lease, token, monotonicNs: BigInt(monotonicNs) };
}
