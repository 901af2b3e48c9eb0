/** One process of the program in replica/, with a way to the API server of its own. */
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LeaderElectionModuleOptions } from '../../lib/index.js';
import type { FaultProxy } from '../rig/fault-proxy.js';
import type { StreamProxy } from '../rig/stream-proxy.js';
import { guard } from '../rig/guard.js';
import type { ProcessMessage, ReplicaCommand, WorkStage } from './replica/messages.js';
import type { Vigil } from './vigil.js';
import { listenTo } from '../security/canary.js';

const PROGRAM = fileURLToPath(new URL('../../build/test/processes/replica/main.js', import.meta.url));
const LOG_TAIL = 4_000;

type MessageOf<T extends ProcessMessage['type']> = Extract<ProcessMessage, { type: T }>;

/** What it is made of. */
export interface ReplicaProcessParts {
  readonly proxy: FaultProxy;
  /** Behind the proxy, if the test asked for it. */
  readonly streams?: StreamProxy | undefined;
  /** Path of a kubeconfig that names the proxy. */
  readonly kubeconfig: string;
  readonly election: LeaderElectionModuleOptions & { readonly identity: string };
  readonly vigil: Vigil;
  readonly onMessage: (message: ProcessMessage) => void;
  readonly onExit: (how: string) => void;
}

export class ReplicaProcess {
  readonly identity: string;
  readonly proxy: FaultProxy;
  /** Where single streams fail; undefined unless the fleet has `streams`. */
  readonly streams: StreamProxy | undefined;
  /** The code or signal it ended with. */
  readonly exited: Promise<number | string>;
  readonly #child: ChildProcess;
  readonly #vigil: Vigil;
  readonly #messages: ProcessMessage[] = [];
  #log = '';
  #stopped = false;
  #ended = false;

  constructor({ proxy, streams, kubeconfig, election, vigil, onMessage, onExit }: ReplicaProcessParts) {
    this.identity = election.identity;
    this.proxy = proxy;
    this.streams = streams;
    this.#vigil = vigil;
    this.#child = fork(PROGRAM, {
      env: { ...process.env, KUBECONFIG: kubeconfig, ELECTION: JSON.stringify(election), NO_COLOR: '1' },
      execArgv: ['--expose-gc'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    listenTo(this.#child);
    const { pid } = this.#child;
    if (pid !== undefined) guard().watch(pid);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#log = (this.#log + chunk.toString('utf8')).slice(-LOG_TAIL);
      });
    }
    this.#child.on('message', (message) => {
      this.#messages.push(message as ProcessMessage);
      onMessage(message as ProcessMessage);
      vigil.wake();
    });
    this.exited = new Promise((resolve) => {
      this.#child.on('exit', () => {
        if (pid !== undefined) guard().forget(pid);
      });
      // Not before all it said was read.
      this.#child.on('close', (code, signal) => {
        this.#ended = true;
        onExit(signal ?? `code ${String(code)}`);
        resolve(signal ?? code ?? 'unknown');
        vigil.wake();
      });
    });
  }

  /** Neither ended nor stopped by a signal of ours. */
  get isRunning(): boolean {
    return !this.#ended && !this.#stopped;
  }

  /** The end of what it logged. */
  get log(): string {
    return this.#log;
  }

  /** What it answered when it last asked itself whether it leads. */
  get lastLook(): MessageOf<'looked'> | undefined {
    return this.#last('looked');
  }

  /** Who leads, as it told last. */
  get leaderSeen(): string | undefined {
    return this.#last('leader')?.identity;
  }

  /**
   * Its first message of that kind that `matches`: told already, or to come.
   *
   * @throws Error when it ends without.
   */
  told<T extends ProcessMessage['type']>(
    type: T,
    matches: (message: MessageOf<T>) => boolean = () => true,
  ): Promise<MessageOf<T>> {
    return this.#vigil.until(`${this.identity} to tell '${type}'`, () => {
      const found = this.#messages.find(
        (message): message is MessageOf<T> => message.type === type && matches(message as MessageOf<T>),
      );
      if (found === undefined && this.#ended) {
        throw new Error(`${this.identity} ended and did not tell '${type}':\n${this.#log}`);
      }
      return found;
    });
  }

  /** As `told`, of its gated call. */
  worked(stage: WorkStage): Promise<MessageOf<'work'>> {
    return this.told('work', (message) => message.stage === stage);
  }

  /** As `told`, of the end of that term. */
  claimEnded({ token }: { readonly token: bigint }): Promise<MessageOf<'claimEnded'>> {
    return this.told('claimEnded', (message) => message.token === String(token));
  }

  order(command: ReplicaCommand): void {
    this.#child.send(command);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#ended) return;
    if (signal === 'SIGSTOP') this.#stopped = true;
    if (signal === 'SIGCONT') this.#stopped = false;
    this.#child.kill(signal);
  }

  #last<T extends ProcessMessage['type']>(type: T): MessageOf<T> | undefined {
    return this.#messages.findLast((message): message is MessageOf<T> => message.type === type);
  }
}
