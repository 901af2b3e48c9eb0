/** A process that runs the program in replica/, with its own path to the API server. */
import { fork, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { LeaderElectionModuleOptions } from '../../lib/index.js';
import type { FaultProxy } from '../rig/fault-proxy.js';
import type { StreamProxy } from '../rig/stream-proxy.js';
import { guard } from '../rig/guard.js';
import {
  machineNow,
  type Counts,
  type ProcessMessage,
  type RegisterSettings,
  type ReplicaCommand,
  type WorkStage,
} from './replica/messages.js';
import type { Vigil } from './vigil.js';
import { listenTo } from '../security/canary.js';

const PROGRAM = fileURLToPath(new URL('../../build/test/processes/replica/main.js', import.meta.url));
const LOG_TAIL = 4_000;

type MessageOf<T extends ProcessMessage['type']> = Extract<ProcessMessage, { type: T }>;

/** Where a replica runs. */
export interface Container {
  /** The tool that enters it and runs the replica inside; the command line of the replica follows. Empty: no tool. */
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** The parts of a {@link ReplicaProcess}. */
export interface ReplicaProcessParts {
  readonly proxy: FaultProxy;
  /** A stream proxy behind the fault proxy, if the test asked for one. */
  readonly streams?: StreamProxy | undefined;
  /** The path of a kubeconfig that points to the proxy. */
  readonly kubeconfig: string;
  readonly election: LeaderElectionModuleOptions & { readonly identity: string };
  /** Whether signals shut the application down. */
  readonly shutdownHooks: boolean;
  /** The registers it works on. Default: none. */
  readonly registers?: RegisterSettings | undefined;
  /** Where it runs. Default: beside this process. */
  readonly container?: Container | undefined;
  readonly vigil: Vigil;
  readonly onMessage: (message: ProcessMessage) => void;
  /** Called with its whole output, as it comes. Default: none. */
  readonly onOutput?: ((text: string) => void) | undefined;
  readonly onExit: (how: string) => void;
}

export class ReplicaProcess {
  readonly identity: string;
  readonly proxy: FaultProxy;
  /** The proxy that can break single streams; undefined unless the fleet has `streams`. */
  readonly streams: StreamProxy | undefined;
  /** The exit code or signal. */
  readonly exited: Promise<number | string>;
  readonly #child: ChildProcess;
  /** Whether the child is the tool that entered the container, and the replica runs inside. */
  readonly #isInside: boolean;
  readonly #vigil: Vigil;
  readonly #messages: ProcessMessage[] = [];
  #log = '';
  #stopped = false;
  #ended = false;

  constructor(parts: ReplicaProcessParts) {
    const { proxy, streams, kubeconfig, election, shutdownHooks, registers, container } = parts;
    const { vigil, onMessage, onOutput, onExit } = parts;
    this.identity = election.identity;
    this.proxy = proxy;
    this.streams = streams;
    this.#vigil = vigil;
    const [command, ...prefix] = [...(container?.command ?? []), process.execPath];
    this.#isInside = prefix.length > 0;
    this.#child = fork(PROGRAM, {
      execPath: command,
      env: {
        ...process.env,
        ...container?.env,
        KUBECONFIG: kubeconfig,
        ELECTION: JSON.stringify(election),
        SHUTDOWN_HOOKS: shutdownHooks ? 'on' : 'off',
        ...(registers === undefined ? {} : { REGISTERS: JSON.stringify(registers) }),
        NO_COLOR: '1',
      },
      execArgv: [...prefix, '--expose-gc'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    listenTo(this.#child);
    const { pid } = this.#child;
    if (pid !== undefined) guard().watch(pid);
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        const text = chunk.toString('utf8');
        onOutput?.(text);
        this.#log = (this.#log + text).slice(-LOG_TAIL);
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
      // After all its output was read.
      this.#child.on('close', (code, signal) => {
        this.#ended = true;
        onExit(signal ?? `code ${String(code)}`);
        resolve(signal ?? code ?? 'unknown');
        vigil.wake();
      });
    });
  }

  /** Whether it has neither ended nor been stopped by a signal of ours. */
  get isRunning(): boolean {
    return !this.#ended && !this.#stopped;
  }

  /** The end of its log. */
  get log(): string {
    return this.#log;
  }

  /** Its last report of isLeader(). */
  get lastLook(): MessageOf<'looked'> | undefined {
    return this.#last('looked');
  }

  /** The leader in its last report. */
  get leaderSeen(): string | undefined {
    return this.#last('leader')?.identity;
  }

  /**
   * Its first message of that type that `matches`, already received or to come.
   *
   * @throws Error if it ends without that message.
   */
  told<T extends ProcessMessage['type']>(
    type: T,
    matches: (message: MessageOf<T>) => boolean = () => true,
  ): Promise<MessageOf<T>> {
    return this.#vigil.until(`the message '${type}' of ${this.identity}`, () => {
      const found = this.#messages.find(
        (message): message is MessageOf<T> => message.type === type && matches(message as MessageOf<T>),
      );
      if (found === undefined && this.#ended) {
        throw new Error(`${this.identity} ended without the message '${type}':\n${this.#log}`);
      }
      return found;
    });
  }

  /** Like `told`, for its gated call. */
  worked(stage: WorkStage): Promise<MessageOf<'work'>> {
    return this.told('work', (message) => message.stage === stage);
  }

  /** Like `told`, for the end of that term. */
  claimEnded({ token }: { readonly token: bigint }): Promise<MessageOf<'claimEnded'>> {
    return this.told('claimEnded', (message) => message.token === String(token));
  }

  /** What it holds, counted after this call. */
  async measured(): Promise<Counts> {
    const since = machineNow();
    this.order({ do: 'measure' });
    return (await this.told('measured', ({ at }) => at >= since)).counts;
  }

  order(command: ReplicaCommand): void {
    this.#child.send(command);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#ended) return;
    if (signal === 'SIGSTOP') this.#stopped = true;
    if (signal === 'SIGCONT') this.#stopped = false;
    if (this.#isInside) process.kill(this.#pidInside, signal);
    else this.#child.kill(signal);
  }

  /** The last of the processes that the tool has started: the others ignore signals. */
  get #pidInside(): number {
    let pid = String(this.#child.pid);
    for (let [child] = childrenOf(pid); child !== undefined; [child] = childrenOf(pid)) pid = child;
    return Number(pid);
  }

  #last<T extends ProcessMessage['type']>(type: T): MessageOf<T> | undefined {
    return this.#messages.findLast((message): message is MessageOf<T> => message.type === type);
  }
}

/** The processes that a process has started. */
export function childrenOf(pid: string): readonly string[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
}
