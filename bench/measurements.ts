/** Every measurement by its name, and all of them as one run. */
import { measureCalls } from './calls.js';
import {
  bareNest,
  clientGo,
  codedependant,
  elector,
  limitedElector,
  nest,
  nestWithKubeconfig,
  obstructed,
  type Side,
} from './contenders.js';
import type { Blow } from './contest.js';
import { measureDeaths } from './deaths.js';
import {
  IDLE_SECONDS,
  measureFailover,
  YOUNG_SECONDS,
  type Entry,
  type Round,
  type WhileIdle,
} from './failover.js';
import { Fleet } from './fleet.js';
import { measureFloor } from './floor.js';
import { measurePartition } from './partition.js';
import type { Progress } from './progress.js';
import type { Figures } from './results.js';
import { measureScale, type ScaleFigures } from './scale.js';
import { measureSpread } from './spread.js';
import { measureStart } from './start.js';
import { measureSteady } from './steady.js';
import { inSurroundings, type Surroundings } from './surroundings.js';

/** From so many elections on, the size of Node's heap decides about memory. */
const MANY = 1_000;

export interface Sizes {
  /** The number of hand-overs and crashes of each side. */
  readonly trials: number;
  /** The number of leases of each side at the same time. */
  readonly leases: number;
  /** The age of followers; undefined: one measurement with new ones and one with idle ones. */
  readonly idleSeconds: number | undefined;
  /** The number of trials of each kind of death, and with the choices of `timing` that are not the default. */
  readonly crashes: number;
  readonly crashesOfProfiles: number;
  readonly starts: number;
  readonly partitions: number;
  readonly elections: readonly number[];
  /** How long all elections are led and followed. */
  readonly holdSeconds: number;
  readonly steadySeconds: number;
  readonly floorRounds: number;
}

export class Measurements {
  readonly #sizes: Sizes;
  readonly #progress: Progress;

  constructor(sizes: Sizes, progress: Progress) {
    this.#sizes = sizes;
    this.#progress = progress;
  }

  /** Makes one measurement on an API server of its own; undefined if the name is unknown. */
  byName(name: string): ((surroundings: Surroundings) => Promise<Figures>) | undefined {
    const measurements: Readonly<Record<string, (surroundings: Surroundings) => Promise<Figures>>> = {
      floor: (surroundings) => this.#floor(surroundings),
      handover: (surroundings) => this.#failoverAlone(surroundings, 'SIGTERM'),
      crash: async (surroundings) => ({
        ...(await this.#failoverAlone(surroundings, 'SIGKILL')),
        ...(await this.#crashes(surroundings)),
      }),
      start: (surroundings) => this.#start(surroundings),
      steady: (surroundings) => this.#steadyAlone(surroundings),
      partition: (surroundings) => this.#partition(surroundings),
      scale: (surroundings) => this.#scale(surroundings),
      calls: () => this.#calls(),
      spread: (surroundings) => this.#spread(surroundings),
    };
    return measurements[name];
  }

  static readonly names = 'floor handover crash start steady partition scale calls spread'.split(' ');

  /** Makes all measurements. Some are made while the followers of the hand-overs are idle. */
  async all(surroundings: Surroundings): Promise<Figures> {
    const meantime: Figures[] = [];
    const later =
      (measure: (fleet: Fleet) => Promise<Figures>): WhileIdle =>
      async (fleet) => {
        meantime.push(await measure(fleet));
      };
    const floor = await this.#floor(surroundings);
    const times = Math.ceil(this.#sizes.trials / this.#sizes.leases);
    const others: readonly Round[] = [
      { blow: 'SIGTERM', idleSeconds: YOUNG_SECONDS },
      { blow: 'SIGKILL', idleSeconds: YOUNG_SECONDS },
    ];
    // The others have one round less, to keep the total time short.
    const rounds = Array.from({ length: times }, (_, index): Round[] => [
      { blow: 'SIGTERM', idleSeconds: IDLE_SECONDS },
      ...(index < Math.max(1, times - 1) ? others : []),
    ]).flat();
    const { failover } = await this.#failover(surroundings, rounds, [
      later((fleet) => this.#steady(surroundings, fleet)),
      later(() => this.#start(surroundings)),
      later(async () => ({
        ...(await this.#partition(surroundings)),
        ...(await this.#spread(surroundings)),
      })),
    ]);
    const { crashes } = await inSurroundings((fresh) => this.#crashes(fresh), { auditLog: true });
    const { scale } = await inSurroundings((fresh) => this.#scale(fresh));
    return Object.assign(
      {},
      floor,
      { failover, crashes, scale },
      ...meantime,
      await this.#calls(),
    ) as Figures;
  }

  async #floor(surroundings: Surroundings): Promise<Figures> {
    const { floorRounds } = this.#sizes;
    const floor = await measureFloor(surroundings, floorRounds, (round) => {
      this.#progress.show(`floor: ${String(round)} of ${String(floorRounds)}`);
    });
    this.#progress.tell('floor: measured');
    return { floor };
  }

  async #failoverAlone(surroundings: Surroundings, blow: Blow): Promise<Figures> {
    const { trials, leases, idleSeconds } = this.#sizes;
    const ages =
      idleSeconds !== undefined
        ? [idleSeconds]
        : blow === 'SIGTERM'
          ? [YOUNG_SECONDS, IDLE_SECONDS]
          : [YOUNG_SECONDS];
    const times = Math.ceil(trials / leases);
    const rounds = Array.from({ length: times }, () =>
      ages.map((age): Round => ({ blow, idleSeconds: age })),
    ).flat();
    return { ...(await this.#floor(surroundings)), ...(await this.#failover(surroundings, rounds, [])) };
  }

  async #failover(
    surroundings: Surroundings,
    rounds: readonly Round[],
    whileIdle: readonly WhileIdle[],
  ): Promise<Figures> {
    const { leases } = this.#sizes;
    const isFirstOfKind = (round: Round, index: number): boolean =>
      rounds.findIndex(
        ({ blow, idleSeconds }) => blow === round.blow && idleSeconds === round.idleSeconds,
      ) === index;
    const isYoungHandover = ({ blow, idleSeconds }: Round): boolean =>
      blow === 'SIGTERM' && idleSeconds < IDLE_SECONDS;
    const entries: Entry[] = [
      ...[elector, nest, clientGo].map((side) => ({ side: side(surroundings), leases })),
      ...codedependant(surroundings).map((side) => ({ side, leases: 2, takesPartIn: isFirstOfKind })),
      ...(['watch', 'claim'] as const).map((obstacle) => ({
        side: obstructed(surroundings, obstacle),
        leases: Math.min(leases, 5),
        takesPartIn: isYoungHandover,
      })),
    ];
    return {
      failover: await measureFailover(surroundings, entries, rounds, this.#progress, whileIdle),
    };
  }

  async #crashes(surroundings: Surroundings): Promise<Figures> {
    const { crashes: trials, crashesOfProfiles: profileTrials } = this.#sizes;
    const crashes = await measureDeaths(surroundings, { trials, profileTrials }, (what) => {
      this.#progress.show(`crashes: ${what}`);
    });
    this.#progress.tell('crashes: measured');
    return { crashes };
  }

  async #start(surroundings: Surroundings): Promise<Figures> {
    const { starts } = this.#sizes;
    const sides = [nest, nestWithKubeconfig, elector, clientGo].map((side) => side(surroundings));
    const all = [...sides, ...codedependant(surroundings)];
    const start = await measureStart(surroundings, all, bareNest(surroundings), starts, (trial) => {
      this.#progress.show(`start: ${String(trial)} of ${String(starts)}`);
    });
    this.#progress.tell('start: measured');
    return { start };
  }

  async #steadyAlone(surroundings: Surroundings): Promise<Figures> {
    const sides = this.#steadySides(surroundings).map((side) => [side, 4] as const);
    const fleet = new Fleet(surroundings, 'steady', sides);
    try {
      await fleet.fill(fleet.contests, (count) => {
        this.#progress.show(`steady: started ${String(count)}`);
      });
      return await this.#steady(surroundings, fleet);
    } finally {
      await fleet.end();
    }
  }

  async #steady(surroundings: Surroundings, fleet: Fleet): Promise<Figures> {
    this.#progress.show('steady: a minute of nothing');
    const names = this.#steadySides(surroundings).map(({ name }) => name);
    const contests = fleet.contests.filter(({ side, isFilled }) => isFilled && names.includes(side.name));
    const steady = await measureSteady(
      surroundings,
      contests,
      bareNest(surroundings),
      this.#sizes.steadySeconds,
    );
    this.#progress.tell('steady: measured');
    return { steady };
  }

  #steadySides(surroundings: Surroundings): Side[] {
    return [
      elector(surroundings),
      nest(surroundings),
      clientGo(surroundings),
      ...codedependant(surroundings),
    ];
  }

  async #partition(surroundings: Surroundings): Promise<Figures> {
    this.#progress.show("partition: the leaders' paths stall");
    const partition = await measurePartition(
      surroundings,
      (seen) => [elector(seen), nest(seen), clientGo(seen), ...codedependant(seen)],
      this.#sizes.partitions,
    );
    this.#progress.tell('partition: measured');
    return { partition };
  }

  async #scale(surroundings: Surroundings): Promise<Figures> {
    const scale: ScaleFigures[] = [];
    for (const elections of this.#sizes.elections) {
      const limited = elections < MANY ? [] : [limitedElector(surroundings)];
      for (const side of [elector(surroundings), ...limited, clientGo(surroundings)]) {
        this.#progress.show(`scale: ${String(elections)} elections, ${side.name}`);
        scale.push(await measureScale(surroundings, side, elections, this.#sizes.holdSeconds));
      }
      this.#progress.tell(`scale: measured with ${String(elections)} elections`);
    }
    return { scale };
  }

  async #calls(): Promise<Figures> {
    this.#progress.show('calls');
    const calls = await measureCalls();
    this.#progress.tell('calls: measured');
    return { calls };
  }

  async #spread({ server, namespace }: Surroundings): Promise<Figures> {
    this.#progress.show('spread');
    const spread = [];
    for (const fleet of ['alone', 'shared'] as const)
      spread.push(await measureSpread(server, namespace, fleet));
    this.#progress.tell('spread: measured');
    return { spread };
  }
}
