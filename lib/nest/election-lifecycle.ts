import type { OnModuleInit } from '@nestjs/common';
import { type ModulesContainer } from '@nestjs/core';
import {
  LeaderError,
  StaticElector,
  SystemClock,
  isLoss,
  pause,
  type Clock,
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
import { InstanceFinder, onSearch, type Found } from './instance-finder.js';

/** Starts one election when its application has started, and stops it before the application stops. */
export class ElectionLifecycle implements OnModuleInit, ElectionPart {
  readonly #leader: LeaderService;
  readonly #elector: Elector;
  readonly #modules: ModulesContainer;
  readonly #onLost: 'campaign' | 'exit';
  readonly #log: ElectionLog;
  readonly #workers: WorkerBinder;
  readonly #drainTimeout: number;
  readonly #longestStop: number;
  readonly #finder: InstanceFinder;
  readonly #hookCalls: HookCalls;
  readonly #hookBinder: LeadershipHookBinder;
  /** The instances found before the start. They are bound then, so that their hooks run after listeners that start hooks add. */
  #found: Found[] = [];
  readonly #stop = new AbortController();
  /** Events from before the application has started, delivered at its start; undefined from then on. */
  #untold: ElectionEvent[] | undefined = [];
  #endSearch: () => void = () => undefined;
  #running: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #releaseShutdown: () => void = () => undefined;
  #outlived = false;

  constructor(parts: {
    leader: LeaderService;
    elector: Elector;
    modules: ModulesContainer;
    hooks: ElectionHooks;
    onLost: 'campaign' | 'exit';
    /** How many milliseconds draining may take. */
    drainTimeout: number;
    /** How many milliseconds may pass between draining and the release. */
    beforeRelease: number;
    renewDeadline: number;
  }) {
    this.#leader = parts.leader;
    this.#elector = parts.elector;
    this.#modules = parts.modules;
    this.#onLost = parts.onLost;
    this.#drainTimeout = parts.drainTimeout;
    this.#longestStop = parts.drainTimeout + parts.beforeRelease + parts.renewDeadline;
    this.#log = new ElectionLog(parts.leader);
    this.#workers = new WorkerBinder(parts.leader, parts.modules, this.#warn);
    this.#workers.holdBackAll();
    this.#hookCalls = new HookCalls(parts.leader.clock, parts.drainTimeout, this.#warn);
    this.#hookBinder = new LeadershipHookBinder(parts.leader, this.#hookCalls, this.#warn);
    this.#finder = new InstanceFinder(parts.leader, parts.modules);
    // A listener, because the elector does not report the failure of an async listener.
    parts.leader.on('error', (event) => {
      this.#log.tell(event);
    });
    parts.hooks.add(this);
    // With `enabled: false` there is nothing to wait for, and start hooks may do leader's work.
    if (alwaysLeads(parts.elector)) this.#run();
  }

  /** @throws LeaderError `LEADER_DUPLICATE_ELECTION`, `LEADER_MODULE_MISSING` */
  onModuleInit(): void {
    const holders = holdersOf(this.#modules, this.#leader.election);
    if (holders.length > 1) throw duplicate(this.#leader.election);
    this.#workers.checkAll();
    this.#found = this.#finder.findNew();
    this.#endSearch = onSearch(() => {
      this.#explore();
    });
  }

  get leaseClock(): Clock | undefined {
    return this.#elector instanceof StaticElector ? undefined : this.#leader.clock;
  }

  /** Campaigns from now on. Never waits, never throws. */
  start(): void {
    if (this.#stop.signal.aborted) return;
    this.#explore();
    for (const found of this.#found.splice(0)) this.#hookBinder.bind(found);
    emitEvents(this.#leader, this.#modules);
    this.#workers.bindAll();
    if (alwaysLeads(this.#elector)) this.#log.warn(withoutElection(this.#leader.leaseName));
    else this.#log.campaigns();
    const untold = this.#untold ?? [];
    this.#untold = undefined;
    for (const event of untold) this.#tellSafely(event);
    this.#run();
  }

  #run(): void {
    this.#running ??= this.#elector
      .run(this.#stop.signal, (event) => {
        this.#observe(event);
      })
      .catch((error: unknown) => {
        this.#log.fatal(error);
        this.#leader.failed(error);
      });
  }

  #explore(): void {
    const found = this.#finder.findNew();
    if (this.#untold !== undefined) this.#found.push(...found);
    else for (const each of found) this.#hookBinder.bind(each);
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
    const patience = new AbortController();
    this.#releaseShutdown = () => {
      patience.abort();
    };
    // Work of a term that was lost, or is being handed over for another reason, has already had its drainTimeout; there will be
    // no second LEADER_DRAIN_TIMEOUT.
    const outlived = this.#outlived && stillRunningIn(this.#leader.state) > 0;
    this.#stop.abort();
    this.#endSearch();
    // Also if it has not started yet: the end of the run is announced to callers of `whenLeader()`.
    this.#run();
    if (outlived) return;
    const { clock } = this.#leader;
    const disarm =
      clock instanceof SystemClock
        ? undefined
        : new SystemClock().setTimer(this.#drainTimeout, this.#giveUpWaiting);
    await Promise.race([
      this.#running?.then(() => this.#hookCalls.settled()),
      pause(clock, this.#longestStop, patience.signal),
    ]);
    patience.abort();
    disarm?.();
  }

  /** By real time: a simulated clock stands still while a test waits for its application to close. */
  readonly #giveUpWaiting = (): void => {
    const running = stillRunningIn(this.#leader.state);
    if (running > 0)
      this.#warn(
        `${String(running)} gated call(s) still run ${String(this.#drainTimeout)} ms after the shutdown began (drainTimeout, by ` +
          `real time). Nothing waits for them any longer.`,
      );
    this.#releaseShutdown();
  };

  readonly #warn = (line: string): void => {
    this.#log.warn(line);
  };

  #observe(event: ElectionEvent): void {
    this.#leader.note(event);
    const isOfTerms = event.type !== 'error' && event.type !== 'stateChanged';
    if (this.#untold !== undefined && isOfTerms) this.#untold.push(event);
    else this.#tell(event);
  }

  #tellSafely(event: ElectionEvent): void {
    try {
      this.#tell(event);
    } catch (error) {
      this.#leader.listenerFailed(event, 'threw', error);
    }
  }

  #tell(event: ElectionEvent): void {
    if (event.type !== 'error') this.#log.tell(event, stillRunningIn(this.#leader.state));
    if (event.type === 'startedLeading' || event.type === 'stoppedLeading') this.#outlived = false;
    if (event.type === 'error' && event.error.code === 'LEADER_DRAIN_TIMEOUT') {
      this.#outlived = true;
      this.#releaseShutdown();
    }
    // A module may have been loaded lazily since the start.
    if (this.#untold === undefined) this.#explore();
    this.#leader.tell(event);
    // A shutdown in progress ends the process anyway, and closes other modules first.
    const exits = this.#onLost === 'exit' && !this.#stop.signal.aborted;
    if (event.type === 'stoppedLeading' && exits && isLoss(event.reason)) {
      exitOnLoss(this.#leader.leaseName, event.reason, this.#log.logger);
    }
  }
}

/** Whether the elector begins a term at once, and again after each hand-over. */
function alwaysLeads(elector: Elector): boolean {
  return elector instanceof StaticElector && elector.role === 'leader';
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
