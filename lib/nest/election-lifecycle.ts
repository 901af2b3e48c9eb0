/** One election in the life of its application: joins in when that has started, and is out of it before that stops. */
import type { OnModuleInit } from '@nestjs/common';
import { type ModulesContainer } from '@nestjs/core';
import {
  LeaderError,
  StaticElector,
  isLoss,
  type ElectionEvent,
  type Elector,
  type ElectorState,
} from '../election/index.js';
import type { ElectionHooks, ElectionPart } from './election-hooks.module.js';
import { ElectionLog } from './election-log.js';
import { holdersOf } from './elections.js';
import { emitEvents } from './events/event-emitters.js';
import { exitOnLoss } from './exit-on-loss.js';
import type { LeaderService } from './leader.service.js';
import { WorkerBinder } from './bullmq/worker-binder.js';
import { HookCalls } from './hooks/hook-calls.js';
import { LeadershipHookBinder } from './hooks/leadership-hook-binder.js';

/** See the head of the file. */
export class ElectionLifecycle implements OnModuleInit, ElectionPart {
  readonly #leader: LeaderService;
  readonly #elector: Elector;
  readonly #modules: ModulesContainer;
  readonly #hooks: ElectionHooks;
  readonly #onLost: 'campaign' | 'exit';
  readonly #log: ElectionLog;
  readonly #workers: WorkerBinder;
  readonly #longestStop: number;
  readonly #hookCalls: HookCalls;
  readonly #stop = new AbortController();
  #run: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;
  #releaseShutdown: () => void = () => undefined;
  #outlived = false;

  constructor(parts: {
    leader: LeaderService;
    elector: Elector;
    modules: ModulesContainer;
    hooks: ElectionHooks;
    onLost: 'campaign' | 'exit';
    /** What draining may take, in milliseconds; and a release. */
    drainTimeout: number;
    /** What is done between draining and a release may take, in milliseconds. */
    beforeRelease: number;
    renewDeadline: number;
  }) {
    this.#leader = parts.leader;
    this.#elector = parts.elector;
    this.#modules = parts.modules;
    this.#hooks = parts.hooks;
    this.#onLost = parts.onLost;
    this.#longestStop = parts.drainTimeout + parts.beforeRelease + parts.renewDeadline;
    this.#log = new ElectionLog(parts.leader);
    this.#workers = new WorkerBinder(parts.leader, parts.modules, this.#warn);
    this.#workers.holdBackAll();
    this.#hookCalls = new HookCalls(parts.leader.clock, parts.drainTimeout, this.#warn);
  }

  /** @throws LeaderError `LEADER_DUPLICATE_ELECTION`, `LEADER_MODULE_MISSING` */
  onModuleInit(): void {
    const holders = holdersOf(this.#modules, this.#leader.election);
    if (holders.length > 1) throw duplicate(this.#leader.election);
    this.#workers.checkAll();
    this.#hooks.add(this);
  }

  /** Campaigns from now on. Never waits, never throws. */
  start(): void {
    if (this.#stop.signal.aborted) return;
    // As a listener, for that of an async listener's failure the elector knows nothing.
    this.#leader.on('error', (event) => {
      this.#log.tell(event);
    });
    new LeadershipHookBinder(this.#leader, this.#hookCalls, this.#warn).bindAll(this.#modules);
    emitEvents(this.#leader, this.#modules);
    this.#workers.bindAll();
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
   * Closes the gate at once; resolves when the work has ended, the lease is released and hooks have ended, or when
   * `drainTimeout` has passed: then the lease is kept until the process ends.
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
    const outlived = this.#outlived && stillRunningIn(this.#leader.state) > 0;
    this.#stop.abort();
    if (outlived) return;
    const cancel = this.#leader.clock.setTimer(this.#longestStop, this.#releaseShutdown);
    await Promise.race([this.#run.then(() => this.#hookCalls.settled()), drainTimedOut]);
    cancel();
  }

  readonly #warn = (line: string): void => {
    this.#log.warn(line);
  };

  #observe(event: ElectionEvent): void {
    if (event.type !== 'error') this.#log.tell(event, stillRunningIn(this.#leader.state));
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
}

function duplicate(election: string): LeaderError {
  return new LeaderError(
    'LEADER_DUPLICATE_ELECTION',
    `Two elections are named '${election}'. Import LeaderElectionModule.forRoot or forRootAsync once per election (it is ` +
      `global, others need not import it again), or give each a name of its own: forRoot({ name, … }).`,
  );
}

function withoutElection(leaseName: string): string {
  return (
    `No election for '${leaseName}': enabled is false, so this process always leads, and so does every other that runs with ` +
    `this setting. Fencing tokens are 0.`
  );
}

function stillRunningIn(state: ElectorState): number {
  return state.kind === 'following' || state.kind === 'handingOver' ? state.stillRunning : 0;
}
