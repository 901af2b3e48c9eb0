/**
 * Start last, stop first (design.md §5): the campaign begins when every module has started, and on shutdown the work is
 * drained and the lease released before any module goes. A global module's own hooks run in just the other order, so
 * these are put into the root module.
 */
import type { OnModuleInit } from '@nestjs/common';
import { type ModulesContainer } from '@nestjs/core';
import {
  LeaderError,
  StaticElector,
  SystemClock,
  type ElectionEvent,
  type Elector,
} from '../election/index.js';
import { ElectionLog } from './election-log.js';
import { exitOnLoss, isLoss } from './exit-on-loss.js';
import type { LeaderService } from './leader.service.js';
import { addRetryAfter } from './gate/retry-after.js';
import { LeadershipHookBinder } from './hooks/leadership-hook-binder.js';
import { getLeaderToken } from './tokens.js';

type NestModule = ModulesContainer extends Map<string, infer M> ? M : never;

/** See the head of the file. */
export class ElectionLifecycle implements OnModuleInit {
  readonly #leader: LeaderService;
  readonly #elector: Elector;
  readonly #modules: ModulesContainer;
  readonly #onLost: 'campaign' | 'exit';
  readonly #log: ElectionLog;
  readonly #longestStop: number;
  readonly #stop = new AbortController();
  #run: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;
  #releaseShutdown: () => void = () => undefined;
  #outlived = false;
  #warnedAboutHooks = false;

  constructor(parts: {
    leader: LeaderService;
    elector: Elector;
    modules: ModulesContainer;
    onLost: 'campaign' | 'exit';
    /** What draining and a release may take together, in milliseconds. */
    longestStop: number;
  }) {
    this.#leader = parts.leader;
    this.#elector = parts.elector;
    this.#modules = parts.modules;
    this.#onLost = parts.onLost;
    this.#longestStop = parts.longestStop;
    this.#log = new ElectionLog(parts.leader);
    addRetryAfter(parts.modules);
  }

  /** @throws LeaderError `LEADER_DUPLICATE_ELECTION` */
  onModuleInit(): void {
    const token = getLeaderToken(this.#leader.election);
    const makers = [...this.#modules.values()].filter((module) => module.providers.has(token));
    if (makers.length > 1) throw duplicate(this.#leader.election);
    const hooks = {
      onApplicationBootstrap: () => {
        this.start();
      },
      onModuleDestroy: () => this.stop(),
      beforeApplicationShutdown: () => this.stop(),
    };
    rootOf(this.#modules, makers).addProvider({
      provide: Symbol(`nestjs-leader: hooks of the election '${this.#leader.election}'`),
      useValue: hooks,
    });
  }

  /** Campaigns from now on. Never waits, never throws. */
  start(): void {
    if (this.#stop.signal.aborted) return;
    // As a listener, for that of an async listener's failure the elector knows nothing.
    this.#leader.on('error', (event) => {
      this.#log.tell(event);
    });
    const warn = (line: string): void => {
      this.#log.warn(line);
    };
    new LeadershipHookBinder(this.#leader, warn).bindAll(this.#modules);
    if (this.#elector instanceof StaticElector) this.#log.warn(withoutElection(this.#leader.leaseName));
    else this.#log.campaigns();
    this.#run = this.#elector
      .run(this.#stop.signal, (event) => {
        this.#observe(event);
      })
      .catch((error: unknown) => {
        this.#log.fatal(error);
        this.#leader.failed(error);
      });
  }

  /**
   * Closes the gate at once; resolves when the work has ended and the lease is released, or when `drainTimeout` has passed:
   * then the lease is kept until the process ends.
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#halt();
    return this.#stopped;
  }

  async #halt(): Promise<void> {
    const drainTimedOut = new Promise<void>((resolve) => {
      this.#releaseShutdown = resolve;
    });
    // Work of a term that was lost, or is being handed over for another reason, has had its drainTimeout, of which nobody
    // will tell a second time.
    const outlived = this.#outlived && this.#leader.state.kind === 'handingOver';
    this.#stop.abort();
    if (outlived) return;
    const cancel = new SystemClock().setTimer(this.#longestStop, this.#releaseShutdown);
    await Promise.race([this.#run, drainTimedOut]);
    cancel();
  }

  #observe(event: ElectionEvent): void {
    if (event.type !== 'error') this.#log.tell(event);
    if (event.type === 'startedLeading') this.#checkShutdownHooks();
    if (event.type === 'startedLeading' || event.type === 'stoppedLeading') this.#outlived = false;
    if (event.type === 'error' && event.error.code === 'LEADER_DRAIN_TIMEOUT') {
      this.#outlived = true;
      this.#releaseShutdown();
    }
    this.#leader.observe(event);
    // A shutdown under way ends the process anyway, and has other modules to close first.
    const exits = this.#onLost === 'exit' && !this.#stop.signal.aborted;
    if (event.type === 'stoppedLeading' && exits && isLoss(event.reason)) {
      exitOnLoss(this.#leader.leaseName, event.reason, this.#log.logger);
    }
  }

  #checkShutdownHooks(): void {
    if (this.#warnedAboutHooks || process.listenerCount('SIGTERM') > 0) return;
    this.#warnedAboutHooks = true;
    this.#log.warn(
      `Nobody listens for SIGTERM: call app.enableShutdownHooks(). Without it Kubernetes ends this process in the middle ` +
        `of its work, and the others must wait until the lease has run out.`,
    );
  }
}

/** The module that the application was made of: the first that is not Nest's own. */
function rootOf(modules: ModulesContainer, makers: readonly NestModule[]): NestModule {
  const root =
    [...modules.values()].find(({ metatype }) => metatype.name !== 'InternalCoreModule') ?? makers[0];
  if (root === undefined) throw new LeaderError('LEADER_MODULE_MISSING', 'The application has no modules.');
  return root;
}

function duplicate(election: string): LeaderError {
  return new LeaderError(
    'LEADER_DUPLICATE_ELECTION',
    `Two elections are named '${election}'. Import LeaderElectionModule.forRoot or forRootAsync once per election (it is ` +
      `global, others need not import it again), or give each a name of its own: forRoot({ name: 'billing', … }).`,
  );
}

function withoutElection(leaseName: string): string {
  return (
    `No election for '${leaseName}': enabled is false, so this process always leads, and so does every other that runs with ` +
    `this setting. Fencing tokens are 0.`
  );
}
