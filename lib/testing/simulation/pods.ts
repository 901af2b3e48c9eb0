import type { ContainerInstance, Disposer, HolderProcess, PodSeen } from '../../election/internal.js';
import type { SimulatedTime } from '../simulated-time.js';
import type { statusFaultKinds } from './fault-kinds.js';

type Deliver = (callback: () => void) => void;

const NODES = 3;
/** True time 0 by a clock that is right. */
const EPOCH_MS = Date.UTC(2026, 0, 1);
const TICK_MS = 10;
/** A node booted this long before the simulation began, or less. */
const LONGEST_UPTIME_MS = 86_400_000;
/** How late a kubelet notices and reports that a container has started or ended. */
export const LONGEST_REPORT_MS = 1_500;
/** How much later than it happened the runtime notes a start, and a process believes that its first process started. */
const LONGEST_NOTE_MS = 50;
const LONGEST_ESTIMATE_MS = 30;
/** What must be left of the life of an instance when its node's clock is set back, because times are in seconds. */
const LIFE_LEFT_MS = 2_000;

/** How a process ends. 255: nobody knows. */
export type ExitCode = 0 | 1 | 137 | 255;

const REASONS = { 0: 'Completed', 1: 'Error', 137: 'OOMKilled', 255: 'Unknown' };

interface End {
  readonly containerID: string;
  readonly exitCode: number;
  readonly reason: string;
  readonly startedAt: string;
  readonly finishedAt: string;
}

/** A machine with a kubelet: its kernel's boot and its clock. */
export class Node {
  readonly #time: SimulatedTime;
  readonly #offsetMs: number;
  #steppedMs = 0;
  #steppedBackMs = 0;
  #boots = 0;
  #bootedAt: number;
  /** The shortest life that an instance of a container has had here. */
  #shortestLifeMs = Number.POSITIVE_INFINITY;
  /** Until when the kubelet reports nothing. */
  silentUntil = 0;

  constructor(
    readonly name: string,
    time: SimulatedTime,
  ) {
    this.#time = time;
    this.#offsetMs = time.chance.between(-5_000, 5_000);
    this.#bootedAt = -time.chance.between(0, LONGEST_UPTIME_MS);
  }

  get boot(): string {
    return `boot-${this.name}-${String(this.#boots)}`;
  }

  /** Whether its clock was ever set. */
  get wasSet(): boolean {
    return this.#steppedMs !== 0 || this.#steppedBackMs !== 0;
  }

  /** Clock ticks since the boot. */
  get ticks(): number {
    return Math.floor((this.#time.now - this.#bootedAt) / TICK_MS);
  }

  /** Its clock, in milliseconds since 1970. */
  get date(): number {
    return EPOCH_MS + this.#time.now + this.#offsetMs + this.#steppedMs;
  }

  /** Its kernel starts again. All of its processes are dead. */
  reboot(): void {
    this.#boots += 1;
    this.#bootedAt = this.#time.now;
  }

  /** An instance of a container has been replaced after this long. */
  noteLife(ms: number): void {
    this.#shortestLifeMs = Math.min(this.#shortestLifeMs, ms);
  }

  /**
   * Sets the clock forward, or back by less than the life of each instance of a container. Set back by more, the end of one
   * instance could be later than the start of the next (docs/crashes.md).
   *
   * @returns by how much.
   */
  stepClock(youngestMs: number): number {
    const { chance } = this.#time;
    const life = Math.min(this.#shortestLifeMs, youngestMs);
    const most = Math.max(life - LIFE_LEFT_MS - this.#steppedBackMs, 0);
    const byMs = chance.happens(0.3) ? chance.between(0, 3_600_000) : -chance.between(0, most);
    this.#steppedMs += byMs;
    this.#steppedBackMs += Math.max(-byMs, 0);
    return byMs;
  }
}

/** What differs between pods. */
export interface PodTraits {
  /** Its containers share one PID namespace, whose first process belongs to none of them. */
  readonly sharesProcesses: boolean;
  /** The first process of its container is a process manager, so a process can die without its container. */
  readonly isManaged: boolean;
  readonly hasSidecar: boolean;
  /** Whether the kubelet starts its container again. */
  readonly restarts: boolean;
}

/** An instance of the container of a pod, in which one process runs, or several. */
export class ContainerRun {
  readonly containerId: string;
  readonly instance: ContainerInstance;
  readonly bornAt: number;
  readonly startedAt: string;
  /** When its first process started, as a process in it would find out. */
  readonly #startedOn: number;
  readonly #isRecognisable: boolean;
  #processes = 0;

  constructor(
    readonly pod: Pod,
    parts: {
      readonly number: number;
      readonly first: ContainerInstance;
      readonly firstStartedOn: number | undefined;
      readonly previous: ContainerRun | undefined;
      readonly time: SimulatedTime;
    },
  ) {
    const { chance } = parts.time;
    const { date } = pod.node;
    this.bornAt = parts.time.now;
    this.containerId = `containerd://${pod.uid}.${String(parts.number)}`;
    this.instance = { ...parts.first, terminationLog: `log${String(parts.number)}` };
    this.startedAt = timeOf(date + chance.between(0, LONGEST_NOTE_MS));
    this.#startedOn =
      parts.firstStartedOn ?? Math.floor((date + chance.between(0, LONGEST_ESTIMATE_MS)) / 1_000);
    this.#isRecognisable =
      secondsOf(this.startedAt) >= this.#startedOn &&
      (parts.previous === undefined || secondsOf(parts.previous.startedAt) < this.#startedOn);
  }

  /** All facts that a process in it could find out. */
  get facts(): HolderProcess {
    const { pod, instance } = this;
    return {
      podUid: pod.uid,
      pod: pod.path,
      container: CONTAINER,
      instance,
      startedOn: this.#startedOn,
    };
  }

  /**
   * Whether it ends with its process, and a process in it can tell its status from that of the instance before it: times are in
   * seconds.
   */
  get isRecognisable(): boolean {
    const { node, traits } = this.pod;
    return this.#isRecognisable && !traits.isManaged && !traits.sharesProcesses && !node.wasSet;
  }

  /** Whether another process can start in it. */
  get hasRoom(): boolean {
    return this.isRunning && this.pod.traits.isManaged && this.#processes < 2;
  }

  get isRunning(): boolean {
    return this.pod.run === this && this.pod.isRunning;
  }

  /** A process starts in it. */
  enter(): void {
    this.#processes += 1;
  }

  /** A process in it has ended. If there is no process manager, the container ends with it. */
  leave(exitCode: ExitCode): void {
    this.#processes -= 1;
    if (!this.pod.traits.isManaged) this.end(exitCode);
  }

  /** The container ends, with all of its processes. */
  end(exitCode: ExitCode): void {
    this.pod.ended(this, exitCode);
  }
}

const CONTAINER = 'app';

/** A pod, what its kubelet reports of it, and what others do to it. */
export class Pod {
  readonly path: string;
  readonly #cluster: Cluster;
  readonly #time: SimulatedTime;
  /** The first process of the pod itself. */
  #pause: ContainerInstance;
  #pauseStartedOn: number;
  readonly #startedAt: string;
  #starts = 0;
  #run: ContainerRun;
  /** How the newest instance has ended, and the one before it. */
  #end: End | undefined;
  #lastEnd: End | undefined;
  #isOver = false;
  /** The phase that somebody else has set. */
  #setPhase: 'Failed' | 'Succeeded' | undefined;
  #shown: PodSeen | undefined;
  /** How many reports the kubelet has made, and which one was stored last. */
  #reports = 0;
  #stored = 0;
  /** Deleted from the API server. Its processes may still run. */
  isDeleted = false;

  constructor(
    cluster: Cluster,
    time: SimulatedTime,
    readonly name: string,
    readonly uid: string,
    readonly node: Node,
    readonly traits: PodTraits,
  ) {
    this.#cluster = cluster;
    this.#time = time;
    this.path = `default/${name}`;
    this.#pause = { boot: node.boot, start: node.ticks };
    this.#pauseStartedOn = Math.floor(node.date / 1_000);
    this.#startedAt = timeOf(node.date);
    this.#run = this.#start();
  }

  /** The newest instance of its container. */
  get run(): ContainerRun {
    return this.#run;
  }

  get isRunning(): boolean {
    return this.#end === undefined;
  }

  /** The newest state that the API server has stored. */
  get shown(): PodSeen | undefined {
    return this.isDeleted ? undefined : this.#shown;
  }

  /** The kubelet starts the container again. */
  startAgain(): ContainerRun {
    const { node } = this;
    this.#lastEnd = this.#end;
    this.#end = undefined;
    node.noteLife(this.#time.now - this.#run.bornAt);
    this.#run = this.#start();
    return this.#run;
  }

  #start(): ContainerRun {
    const { node, traits } = this;
    this.#starts += 1;
    const previous = this.#starts > 1 ? this.#run : undefined;
    const run = new ContainerRun(this, {
      number: this.#starts,
      previous,
      first: traits.sharesProcesses ? this.#pause : { boot: node.boot, start: node.ticks },
      firstStartedOn: traits.sharesProcesses ? this.#pauseStartedOn : undefined,
      time: this.#time,
    });
    this.#report();
    return run;
  }

  /** The node has started again. The kubelet does not know how the container has ended. */
  rebooted(): void {
    const { node } = this;
    this.ended(this.#run, 255);
    this.#pause = { boot: node.boot, start: node.ticks };
    this.#pauseStartedOn = Math.floor(node.date / 1_000);
  }

  ended(run: ContainerRun, exitCode: ExitCode): void {
    if (run !== this.#run || this.#end !== undefined) return;
    this.#end = {
      containerID: run.containerId,
      exitCode,
      reason: REASONS[exitCode],
      startedAt: run.startedAt,
      finishedAt: timeOf(this.node.date),
    };
    this.#isOver = !this.traits.restarts;
    this.#report();
  }

  // What the API server stores

  /** The kubelet reports the present state, as soon as it can. A report that is older than a stored one is dropped. */
  #report(): void {
    const { chance } = this.#time;
    this.#reports += 1;
    const number = this.#reports;
    const delayMs =
      chance.between(50, LONGEST_REPORT_MS) + Math.max(this.node.silentUntil - this.#time.now, 0);
    this.#time.schedule(delayMs, () => {
      // A kubelet that was silent meanwhile reports what is true by then.
      if (this.#time.now >= this.node.silentUntil) this.#store(number);
      else if (number === this.#reports) this.#report();
    });
  }

  #store(number: number): void {
    if (number < this.#stored) return;
    this.#stored = number;
    this.#put(this.#state(this.#containerStatus()));
  }

  #put(state: PodSeen): void {
    if (this.isDeleted) return;
    this.#shown = state;
    this.#cluster.show(this.path, state);
  }

  #state(status: object, phase = this.#phase): PodSeen {
    const { hasSidecar, sharesProcesses } = this.traits;
    const sidecar = { name: 'proxy', containerID: `containerd://${this.uid}.proxy` };
    const its = this.#isOver
      ? { terminated: { ...this.#end, containerID: sidecar.containerID, exitCode: 0, reason: 'Completed' } }
      : { running: { startedAt: this.#startedAt } };
    return {
      metadata: { uid: this.uid },
      spec: {
        ...(sharesProcesses && { shareProcessNamespace: true }),
        containers: [{ name: CONTAINER }, ...(hasSidecar ? [{ name: sidecar.name }] : [])],
      },
      status: {
        phase,
        containerStatuses: [status, ...(hasSidecar ? [{ ...sidecar, state: its, lastState: {} }] : [])],
      },
    };
  }

  get #phase(): string {
    if (this.#setPhase !== undefined) return this.#setPhase;
    if (!this.#isOver) return 'Running';
    return this.#end?.exitCode === 0 ? 'Succeeded' : 'Failed';
  }

  #containerStatus(): object {
    const run = this.#run;
    const lastState = this.#lastEnd === undefined ? {} : { terminated: this.#lastEnd };
    const status = { name: CONTAINER, containerID: run.containerId, restartCount: this.#starts - 1 };
    if (this.#end === undefined)
      return { ...status, state: { running: { startedAt: run.startedAt } }, lastState };
    // Between two instances the kubelet shows the end in `state` first, and in `lastState` while it waits.
    const waits = !this.#isOver && this.#time.chance.happens(0.5);
    return waits
      ? {
          ...status,
          state: { waiting: { reason: 'CrashLoopBackOff' } },
          lastState: { terminated: this.#end },
        }
      : { ...status, state: { terminated: this.#end }, lastState };
  }

  // What others do

  /** Somebody sets the phase, as when the node does not answer, on top of the state that is stored. */
  setPhase(phase: 'Failed' | 'Succeeded'): void {
    this.#setPhase = phase;
    if (this.#shown === undefined) return;
    const { metadata, status, spec } = this.#shown;
    const reason = this.#time.chance.oneOf(['NodeLost', 'Evicted', 'DeadlineExceeded']);
    this.#put({ metadata: { ...metadata }, spec: spec ?? {}, status: { ...status, phase, reason } });
  }

  /** The kubelet has lost track of the container and guesses, until its next report. */
  guess(correctedAfterMs: number): void {
    const { chance } = this.#time;
    const run = this.#run;
    const terminated = chance.oneOf([
      { exitCode: 137, reason: 'ContainerStatusUnknown', message: 'The container could not be located.' },
      {
        exitCode: 137,
        reason: 'ContainerStatusUnknown',
        containerID: run.containerId,
        finishedAt: timeOf(this.node.date),
      },
      {
        exitCode: 255,
        reason: 'Unknown',
        containerID: run.containerId,
        startedAt: run.startedAt,
        finishedAt: timeOf(this.node.date),
      },
      { exitCode: 0, reason: 'Completed', containerID: run.containerId, finishedAt: null },
    ]);
    const end = chance.happens(0.5)
      ? { state: { terminated }, lastState: {} }
      : { state: { waiting: { reason: 'ContainerCreating' } }, lastState: { terminated } };
    const status = { name: CONTAINER, containerID: run.containerId, ...end };
    this.#put(this.#state(status, chance.oneOf(['Running', 'Failed', 'Unknown'])));
    this.#time.schedule(correctedAfterMs, () => {
      this.#report();
    });
  }

  /** It is deleted from the API server, whether or not its processes have ended. */
  delete(): void {
    this.isDeleted = true;
  }

  /** The kubelet reports again. */
  refresh(): void {
    this.#report();
  }
}

/** Who watches a pod of this name, whichever pod that is. */
interface Watcher {
  readonly path: string;
  readonly deliver: Deliver;
  readonly onState: (pod: PodSeen) => void;
}

type StatusFaultKind = (typeof statusFaultKinds)[number];

/** Pods on a few nodes, and the API server that shows their states to whoever watches them. */
export class Cluster {
  readonly #time: SimulatedTime;
  readonly #longestDelayMs: number;
  readonly nodes: readonly Node[];
  readonly pods: Pod[] = [];
  readonly #watchers = new Set<Watcher>();
  /** Every state that a pod of this name has had. */
  readonly #past = new Map<string, PodSeen[]>();
  /** What goes wrong on the way of states to watchers, and until when. */
  #fault: { readonly kind: StatusFaultKind; readonly until: number } | undefined;

  constructor(time: SimulatedTime, longestDelayMs: number) {
    this.#time = time;
    this.#longestDelayMs = longestDelayMs;
    this.nodes = Array.from({ length: NODES }, (_, index) => new Node(`node-${String(index + 1)}`, time));
  }

  /** Creates a pod, whose container starts at once. @param name Default: a new name. */
  createPod(traits: PodTraits, name = `pod-${String(this.pods.length + 1)}`): Pod {
    const uid = `uid-${String(this.pods.length + 1)}`;
    const pod = new Pod(this, this.#time, name, uid, this.#time.chance.oneOf(this.nodes), traits);
    this.pods.push(pod);
    return pod;
  }

  /** Shows the states of the pod of this name, from the present one on, until the returned function is called. */
  watch(path: string, deliver: Deliver, onState: (pod: PodSeen) => void): Disposer {
    const watcher: Watcher = { path, deliver, onState };
    this.#watchers.add(watcher);
    const state = this.#stateOf(path);
    if (state !== undefined) this.#tell(watcher, state);
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  show(path: string, state: PodSeen): void {
    const past = this.#past.get(path) ?? [];
    past.push(state);
    this.#past.set(path, past);
    for (const watcher of this.#watchers) if (watcher.path === path) this.#tell(watcher, state);
  }

  /** For a while something goes wrong on the way to all watchers. */
  garble(kind: StatusFaultKind, forMs: number): void {
    this.#fault = { kind, until: this.#time.now + forMs };
  }

  /** The age of the youngest instance of a container on this node. */
  youngestOn(node: Node): number {
    const ages = this.pods.filter((pod) => pod.node === node).map(({ run }) => this.#time.now - run.bornAt);
    return Math.min(...ages);
  }

  /** Kubelets report again, and every watch begins again with the present state. */
  heal(): void {
    this.#fault = undefined;
    for (const node of this.nodes) node.silentUntil = 0;
    for (const pod of this.pods) pod.refresh();
    for (const watcher of this.#watchers) {
      const state = this.#stateOf(watcher.path);
      if (state !== undefined) this.#tell(watcher, state);
    }
  }

  #stateOf(path: string): PodSeen | undefined {
    return this.pods.findLast((pod) => pod.path === path)?.shown;
  }

  #tell(watcher: Watcher, state: PodSeen): void {
    const { chance, now } = this.#time;
    const kind = this.#fault !== undefined && now < this.#fault.until ? this.#fault.kind : undefined;
    if (kind === 'statusDropped' && chance.happens(0.6)) return;
    const past = this.#past.get(watcher.path) ?? [];
    const shown = kind === 'statusStale' && past.length > 0 ? chance.oneOf(past) : state;
    const lateMs = kind === 'statusDelayed' ? chance.skewed(this.#longestDelayMs) : chance.next();
    const copies = kind === 'statusRepeated' ? chance.integer(2, 3) : 1;
    for (let copy = 0; copy < copies; copy++) {
      this.#time.schedule(0.5 + lateMs + copy * chance.skewed(this.#longestDelayMs), () => {
        watcher.deliver(() => {
          if (this.#watchers.has(watcher)) watcher.onState(shown);
        });
      });
    }
  }
}

/** A time as the API server prints it. */
function timeOf(ms: number): string {
  return new Date(Math.floor(ms / 1_000) * 1_000).toISOString().replace('.000Z', 'Z');
}

function secondsOf(time: string): number {
  return Date.parse(time) / 1_000;
}
