/** Explores every schedule of a small fleet, breadth first. */
import { canonical } from './canonical.js';
import { fairStep, stepsFrom, type Step } from './moves.js';
import { Visited } from './visited.js';
import { newWorld, type Broken, type Scope, type World } from './world.js';

/** The bounds of an exploration besides its scope. */
export interface Bounds {
  /** The most states. Default: no limit. */
  readonly states?: number | undefined;
  /** The most steps from the beginning. Default: no limit. */
  readonly depth?: number | undefined;
  /** Asked after each depth and now and then; false ends the exploration. Default: it goes on. */
  readonly mayGoOn?: ((progress: Progress) => boolean) | undefined;
}

/** How far an exploration is. */
export interface Progress {
  /** Different states, of which merged ones count once. */
  readonly states: number;
  readonly transitions: number;
  /** How many steps the longest schedule has. */
  readonly depth: number;
  /** How many states of that depth are to be explored yet. */
  readonly frontier: number;
}

/** The result of an exploration. */
export interface Exploration extends Progress {
  /** Why it ended. `exhausted`: there is no other state, however long a schedule is. */
  readonly ended: 'exhausted' | 'depth' | 'states' | 'stopped' | 'broken';
  /** The shortest schedule that breaks a guarantee. */
  readonly story: Story | undefined;
  /** How many fair runs were made. */
  readonly fairRuns: number;
}

/** A schedule that breaks a guarantee. */
export interface Story {
  readonly broken: Broken;
  readonly steps: readonly Step[];
  /** The fault-free steps that follow, if only they show it. */
  readonly fair: boolean;
}

interface Open {
  readonly world: World;
  readonly node: number;
}

/** How often it is asked whether it may go on. */
const ASK_EVERY = 1_000;
/** In one of so many states after a tick, what follows without a fault is run. */
const FAIR_EVERY = 16;

export function explore(scope: Scope, bounds: Bounds = {}): Exploration {
  const { states: mostStates = Infinity, depth: mostDepth = Infinity, mayGoOn = () => true } = bounds;
  const visited = new Visited();
  const first = newWorld(scope);
  visited.add(canonical(first, scope), 0, 0, 0);
  let frontier: Open[] = [{ world: first, node: 0 }];
  let transitions = 0;
  let depth = 0;
  let fairRuns = 0;
  const progress = (): Progress => ({
    states: visited.states,
    transitions,
    depth,
    frontier: frontier.length,
  });
  const ended = (why: Exploration['ended'], story?: Story): Exploration => ({
    ...progress(),
    ended: why,
    story,
    fairRuns,
  });
  while (frontier.length > 0) {
    if (depth === mostDepth) return ended('depth');
    depth += 1;
    const next: Open[] = [];
    for (const [index, { world, node }] of frontier.entries()) {
      if (index % ASK_EVERY === 0 && !mayGoOn(progress())) return ended('stopped');
      for (const [number, { world: after, move }] of stepsFrom(world, scope).entries()) {
        transitions += 1;
        const added = visited.add(canonical(after, scope), after.faults, node, number);
        if (after.broken !== undefined)
          return ended('broken', storyOf(scope, [...visited.wayTo(node), number], after.broken, false));
        if (added === undefined) continue;
        if (move.do === 'tick' && added % FAIR_EVERY === 0) {
          fairRuns += 1;
          const broken = brokenInFairRun(after, scope);
          if (broken !== undefined)
            return ended('broken', storyOf(scope, visited.wayTo(added), broken, true));
        }
        next.push({ world: after, node: added });
      }
      if (visited.states >= mostStates) return ended('states');
    }
    frontier = next;
  }
  return ended('exhausted');
}

function storyOf(scope: Scope, way: readonly number[], broken: Broken, fair: boolean): Story {
  const steps: Step[] = [];
  let world = newWorld(scope);
  for (const number of way) {
    const step = stepsFrom(world, scope)[number] as Step;
    steps.push(step);
    ({ world } = step);
  }
  return { broken, steps, fair };
}

/** What a run without further faults breaks: a guarantee, or nobody leads although somebody could. */
export function brokenInFairRun(from: World, scope: Scope): Broken | undefined {
  const { leaseDuration, retryPeriod } = scope.timing;
  const slowest = Math.min(...scope.tickMs);
  const until = from.tick + Math.ceil((leaseDuration + 2 * retryPeriod) / slowest) + 1;
  let world = from;
  for (let steps = 0; world.tick <= until; steps++) {
    if (world.broken !== undefined) return world.broken;
    const phases = world.processes.map(({ election: { life } }) => life.phase.kind);
    if (phases.some((kind, number) => kind === 'leading' && world.processes[number]?.liveness !== 'dead'))
      return undefined;
    const mayLead = world.processes.some(
      ({ liveness, election: { life } }) => liveness !== 'dead' && !life.isLeaving,
    );
    if (!mayLead) return undefined;
    if (steps > MOST_STEPS)
      return { guarantee: 'G7', what: 'time does not pass any more: a process is always busy' };
    world = fairStep(world, scope);
  }
  return { guarantee: 'G6', what: 'nobody leads, although nothing fails any more' };
}

const MOST_STEPS = 1_000;
