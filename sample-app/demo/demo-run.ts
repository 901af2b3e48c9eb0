import { Fleet, LEASE_DURATION_MS, OURS, POLLERS, RENEW_DEADLINE_MS, type Cluster } from './fleet.js';
import { machineNow } from './machine-clock.js';
import type { PageParts } from './page-server.js';
import type { Action, Command, LiveRun, Recording, RunEvent, RunHeader } from './page/recording.js';
import { RunRecorder } from './run-recorder.js';

const header: RunHeader = {
  format: 1,
  source: 'demo',
  title: 'nestjs-leader: three replicas, one leader',
  about:
    `Each replica is a process of the sample application. The lease lasts ${String(LEASE_DURATION_MS / 1_000)} s, and a leader is ` +
    `certain for ${String(RENEW_DEADLINE_MS / 1_000)} s after a renewal. Pollers have a Lease of their own with the same times, and ` +
    `client-go's default RetryPeriod of ${String(POLLERS.retryPeriodMs / 1_000)} s with its jitter.`,
  leaseDurationMs: LEASE_DURATION_MS,
  renewDeadlineMs: RENEW_DEADLINE_MS,
};

/** One run of the demo: the replicas, those that poll beside them if they were started, and what the page shows of them. */
export class DemoRun implements PageParts {
  readonly ours: Fleet;
  readonly #pollers: Fleet;
  readonly #recorder = new RunRecorder(machineNow());
  readonly #canCut: boolean;

  constructor(cluster: Cluster) {
    this.#canCut = cluster.cutOff !== undefined;
    this.ours = new Fleet(OURS, cluster, this.#recorder);
    const besides = { ...cluster, leaseName: `${cluster.leaseName}-pollers` };
    this.#pollers = new Fleet(POLLERS, besides, this.#recorder);
    this.#recorder.subscribe(({ kind }) => {
      if (kind === 'term') this.ours.judge();
    });
  }

  live(): LiveRun {
    return { ...this.recording(), now: machineNow() - this.#recorder.startedAt, canCut: this.#canCut };
  }

  recording(): Recording {
    this.ours.judge();
    return { ...header, events: this.#recorder.events.toSorted((a, b) => a.at - b.at) };
  }

  subscribe(listener: (event: RunEvent) => void): () => void {
    return this.#recorder.subscribe(listener);
  }

  obey(command: Command): void {
    if (command.do === 'startPollers') {
      if (this.#pollers.replicas.length > 0) throw new Error('The pollers have been started already.');
      this.#pollers.startAll();
    } else if (command.lane === 'leaders') {
      this.#actOnLeaders(command.do);
    } else {
      const fleet = [this.ours, this.#pollers].find((each) => each.placeOf(command.lane) !== undefined);
      const place = fleet?.placeOf(command.lane);
      if (fleet === undefined || place === undefined) throw new Error(`There is no lane '${command.lane}'.`);
      fleet.requirePossible(command.do, place);
      void fleet.act(command.do, place);
    }
  }

  async stopAll(): Promise<void> {
    await Promise.all([this.ours.stopAll(), this.#pollers.stopAll()]);
  }

  /** Kills all replicas at once, when the demo itself has failed. */
  async killAll(): Promise<void> {
    await Promise.all([this.ours.killAll(), this.#pollers.killAll()]);
  }

  #actOnLeaders(action: Action): void {
    const leaders = [this.ours, this.#pollers].flatMap((fleet) => {
      const replica = fleet.leader?.replica;
      return replica === undefined ? [] : [{ fleet, place: fleet.replicas.indexOf(replica) }];
    });
    if (leaders.length === 0) throw new Error('Nobody leads.');
    for (const { fleet, place } of leaders) fleet.requirePossible(action, place);
    for (const { fleet, place } of leaders) void fleet.act(action, place);
  }
}
