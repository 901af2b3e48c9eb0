import type { OnModuleInit } from '@nestjs/common';
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
  type TermEndReason,
} from '../election/internal.js';
import { LedQueues } from './bull/led-queues.js';
import { LedWorkers } from './bullmq/led-workers.js';
import type { ElectionHooks } from './election-hooks.module.js';
import { ElectionLog } from './election-log.js';
import type { ElectionExplorer, Found } from './election.explorer.js';
import { LeadershipHookBinder } from './hooks/leadership-hook-binder.js';
import { emitEvents } from './leader-events.js';
import type { LeaderHandle } from './leader-handle.js';
import type { LeaderService } from './leader.service.js';
import { longestWithdrawal } from './options/coordinated-option.js';
import type { ResolvedModuleOptions } from './options/resolve-options.js';

/** Nest calls the start hooks of such a module first; the distance of global modules is the largest finite number. */
const FARTHEST_FROM_THE_ROOT = Infinity;

/** Starts one election when its application has started, and stops it before the application stops. */
export class ElectionLifecycle implements OnModuleInit {
  readonly #leader: LeaderService;
  readonly #handle: LeaderHandle;
  readonly #elector: Elector;
  readonly #explorer: ElectionExplorer;
  readonly #options: ResolvedModuleOptions;
  readonly #log: ElectionLog;
  readonly #workers: LedWorkers;
  readonly #queues: LedQueues;
  readonly #hooks: LeadershipHookBinder;
  /** The instances found before the start. They are bound then, so that their hooks run after listeners that start hooks add. */
  #found: Found[] | undefined = [];
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
    handle: LeaderHandle;
    options: ResolvedModuleOptions;
    explorer: ElectionExplorer;
    hooks: ElectionHooks;
  }) {
    const { leader, handle, options, explorer } = parts;
    this.#leader = leader;
    this.#handle = handle;
    this.#elector = handle.elector;
    this.#options = options;
    this.#explorer = explorer;
    this.#log = new ElectionLog(handle, options.election, options.logFields);
    this.#workers = new LedWorkers(leader, explorer, this.#warn);
    this.#workers.holdBackAll();
    this.#queues = new LedQueues(leader, explorer, this.#warn);
    if (this.#queues.areThere) {
      for (const module of explorer.holdersOf(leader.election)) module.distance = FARTHEST_FROM_THE_ROOT;
    }
    this.#hooks = new LeadershipHookBinder(handle, options.election.drainTimeout, this.#warn);
    explorer.follow(leader, (found) => {
      if (this.#found === undefined) this.#hooks.bind(found);
      else this.#found.push(found);
    });
    // Subscribe here too: the elector never sees an async listener's rejection.
    leader.on('error', (event) => {
      this.#log.tell(event);
    });
    parts.hooks.add(this);
    // With `enabled: false` there is nothing to wait for, and start hooks may do leader's work. A function decides after them.
    if (this.#alwaysLeads) this.#run();
  }

  /** @throws LeaderError `LEADER_DUPLICATE_ELECTION`, `LEADER_MODULE_MISSING` */
  onModuleInit(): void {
    if (this.#explorer.holdersOf(this.#leader.election).length > 1) throw duplicate(this.#leader.election);
    this.#workers.checkAll();
    this.#queues.holdBackAll();
    this.#explorer.explore();
    this.#endSearch = this.#explorer.open();
  }

  /** The clock of an election that has a lease to hand over; undefined for an election without a lease. */
  get leaseClock(): Clock | undefined {
    return this.#elector instanceof StaticElector ? undefined : this.#handle.clock;
  }

  /** Whether the elector begins a term at once, and again after each hand-over. */
  get #alwaysLeads(): boolean {
    return leadsWithoutLease(this.#elector) && this.#options.campaign === true;
  }

  /** Campaigns from now on. Never waits, never throws. */
  start(): void {
    if (this.#stop.signal.aborted) return;
    const { campaign } = this.#options;
    this.#explorer.explore();
    for (const found of this.#found ?? []) this.#hooks.bind(found);
    this.#found = undefined;
    for (const emitter of this.#explorer.eventEmitters) emitEvents(this.#leader, emitter);
    this.#workers.bindAll();
    this.#queues.bindAll();
    if (leadsWithoutLease(this.#elector))
      this.#log.warn(withoutElection(this.#leader.leaseName, campaign === true));
    if (!this.#alwaysLeads) this.#log.begins(typeof campaign === 'function' ? 'undecided' : campaign);
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
        this.#handle.failed(error);
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
    const { clock } = this.#handle;
    const { drainTimeout } = this.#options.election;
    const disarm =
      clock instanceof SystemClock
        ? undefined
        : new SystemClock().setTimer(drainTimeout, this.#giveUpWaiting);
    await Promise.race([
      this.#running?.then(() => Promise.all([this.#hooks.settled(), this.#queues.settled()])),
      pause(clock, longestStop(this.#options), patience.signal),
    ]);
    patience.abort();
    disarm?.();
  }

  /** In real time: a simulated clock stands still while a test waits for its application to close. */
  readonly #giveUpWaiting = (): void => {
    const running = stillRunningIn(this.#leader.state);
    if (running > 0)
      this.#warn(
        `${String(running)} gated call(s) still run ${String(this.#options.election.drainTimeout)} ms after the shutdown began ` +
          `(drainTimeout, in real time). The shutdown goes on without waiting for them.`,
      );
    this.#releaseShutdown();
  };

  readonly #warn = (line: string): void => {
    this.#log.warn(line);
  };

  #observe(event: ElectionEvent): void {
    this.#handle.note(event);
    const isOfTerms = event.type !== 'error' && event.type !== 'stateChanged';
    if (this.#untold !== undefined && isOfTerms) this.#untold.push(event);
    else this.#tell(event);
  }

  #tellSafely(event: ElectionEvent): void {
    try {
      this.#tell(event);
    } catch (error) {
      this.#handle.listenerFailed(event, 'threw', error);
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
    if (this.#untold === undefined) this.#explorer.explore();
    this.#handle.tell(event);
    // A shutdown in progress ends the process anyway, and closes other modules first.
    const exits = this.#options.election.onLost === 'exit' && !this.#stop.signal.aborted;
    if (event.type === 'stoppedLeading' && exits && isLoss(event.reason)) {
      exitOnLoss(this.#leader.leaseName, event.reason);
    }
  }
}

/** How many milliseconds a shutdown may take: draining, what is undone before the release, and the release. */
function longestStop({ election, leaderPodLabels, coordinated }: ResolvedModuleOptions): number {
  const { drainTimeout, renewDeadline, retryPeriod } = election;
  const unlabelling = Object.keys(leaderPodLabels).length === 0 ? 0 : retryPeriod;
  const withdrawing = coordinated === undefined ? 0 : longestWithdrawal(retryPeriod);
  return drainTimeout + unlabelling + withdrawing + renewDeadline;
}

/** Ends the process for `onLost: 'exit'`, as users of client-go do. The only place in this package that does. */
function exitOnLoss(leaseName: string, reason: TermEndReason): void {
  ElectionLog.logger.error(`Lost '${leaseName}' (${reason}). Exiting with code 1 (onLost: 'exit').`);
  process.exit(1);
}

function leadsWithoutLease(elector: Elector): boolean {
  return elector instanceof StaticElector && elector.role === 'leader';
}

function duplicate(election: string): LeaderError {
  return new LeaderError(
    'LEADER_DUPLICATE_ELECTION',
    `Two elections are named '${election}'. Import LeaderElectionModule.forRoot or forRootAsync once per election (it is ` +
      `global, others need not import it again), or give each a name of its own: forRoot({ name, … }).`,
  );
}

function withoutElection(leaseName: string, isDecided: boolean): string {
  return (
    `No election for '${leaseName}': enabled is false, so this process always leads${isDecided ? '' : ' if campaign() says so'}, as ` +
    `does every other process with this setting. Fencing tokens are 0.`
  );
}

function stillRunningIn(state: ElectorState): number {
  return state.kind === 'following' || state.kind === 'handingOver' ? state.stillRunning : 0;
}
