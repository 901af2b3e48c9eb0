/** A process that contends for a lease, with any implementation of leader election, and says what happens to it. */
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
  /** Whether it gives the lease back when it is asked to end. Default: true. */
  readonly releaseOnCancel?: boolean;
  /** How many elections it takes part in, on one client: on the leases `<lease>-0`, `<lease>-1`, and so on. Default: one. */
  readonly elections?: number;
}

/** What a contender says: a line of JSON on its standard output. */
export interface ContenderEvent {
  readonly event: 'ready' | 'started' | 'releasing' | 'stopped' | 'leader' | 'timeout';
  readonly identity: string;
  /** By the machine's monotonic clock, the one that `process.hrtime.bigint()` reads. */
  readonly monotonicNs: bigint;
  /** Of the event `leader`: who holds the lease by what the contender saw; '' is nobody. */
  readonly leader: string;
  /** Which lease it speaks of; '' from one that takes part in a single election and does not say. */
  readonly lease: string;
  /** The fencing token of its term, in the events `started` and `stopped`; '' from one that does not say. */
  readonly token: string;
}

/** The path of the program; built when it is not there. */
export function clientGoContender(): Promise<string> {
  return goBinary(CONTENDER);
}

/** One that runs. */
export class Contender {
  /** All it has said, in order. */
  readonly events: ContenderEvent[] = [];
  readonly identity: string;
  readonly #name: string;
  readonly #process: RigProcess;
  readonly #listeners = new Set<() => void>();

  /** Starts `program`, an implementation that errors name `client`. */
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

  /** The end of what it wrote on standard error. */
  get log(): string {
    return this.#process.log;
  }

  /** Calls back after each line it says, and when it has ended, until the returned function is called. */
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
   * The first it said of this kind after that instant: what was said already, or what will be.
   *
   * @throws RigProcessEnded when it has ended without, or takes longer than a minute.
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

  /** Asks it to end: it gives the lease back, unless it was told not to. */
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
  /** As text: too large for a number of JSON. */
  readonly monotonicNs: string;
  readonly leader?: string;
  readonly lease?: string;
  readonly token?: string;
}

function parse(line: string): ContenderEvent {
  const { event, identity, leader = '', lease = '', token = '', monotonicNs } = JSON.parse(line) as Line;
  return { event, identity, leader, lease, token, monotonicNs: BigInt(monotonicNs) };
}
