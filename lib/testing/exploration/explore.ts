/** Explores every schedule of a small fleet, breadth first. */
import { isOpen } from '../../election/internal.js';
import { canonical } from './canonical.js';
import { fairMove, makeMove, stepsFrom, type Made, type Step } from './moves.js';
import { Visited } from './visited.js';
import { clocksOf, newWorld, type Broken, type Scope, type World } from './world.js';

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
  readonly moves: readonly Made[];
}

interface Open {
  readonly world: World;
  readonly node: number;
}

/** How often it is asked whether it may go on. */
const ASK_EVERY = 1_000;
/** In one of so many states after a tick, what follows without a fault is run. */
const FAIR_EVERY = 4;

export function explore(scope: Scope, bounds: Bounds = {}): Exploration {
  const { states: mostStates = Infinity, depth: mostDepth = Infinity, mayGoOn = () => true } = bounds;
  const visited = new Visited();
  const first = newWorld(scope);
  visited.add(canonical(first, scope), 0, 0, 0);
  let frontier: Open[] = [{ world: first, node: 0 }];
  let transitions = 0;
  let depth = 0;
  let ticks = 0;
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
          return ended('broken', {
            broken: after.broken,
            moves: movesTo(scope, [...visited.wayTo(node), number]),
          });
        if (added === undefined) continue;
        if (move.do === 'tick' && ticks++ % FAIR_EVERY === 0) {
          fairRuns += 1;
          const fair = fairRun(after, scope);
          if (fair.broken !== undefined)
            return ended('broken', {
              broken: fair.broken,
              moves: [...movesTo(scope, visited.wayTo(added)), ...fair.moves],
            });
        }
        next.push({ world: after, node: added });
      }
      if (visited.states >= mostStates) return ended('states');
    }
    frontier = next;
  }
  return ended('exhausted');
}

function movesTo(scope: Scope, way: readonly number[]): Made[] {
  const moves: Made[] = [];
  let world = newWorld(scope);
  for (const number of way) {
    const step = stepsFrom(world, scope)[number] as Step;
    moves.push(step);
    ({ world } = step);
  }
  return moves;
}

/** How many moves a fair run takes at most. It has some ten a tick. */
const MOST_MOVES = 300;

/**
 * What happens without further faults: what was held up goes on, and within a lease and two retries somebody must lead, if anybody
 * is left. Time is that of the slowest clock.
 */
function fairRun(from: World, scope: Scope): { moves: Made[]; broken: Broken | undefined } {
  const { leaseDuration, retryPeriod } = scope.timing;
  const lastTick = from.tick + Math.ceil((leaseDuration + 2 * retryPeriod) / Math.min(...scope.tickMs)) + 1;
  const moves: Made[] = [];
  for (let world = from; ;) {
    if (world.broken !== undefined || !awaitsLeader(world, scope)) return { moves, broken: world.broken };
    if (moves.length === MOST_MOVES)
      return { moves, broken: { guarantee: 'G7', what: 'a process is busy for ever' } };
    if (world.tick > lastTick)
      return {
        moves,
        broken: { guarantee: 'G6', what: 'nobody leads, although nothing has failed for long' },
      };
    const move = fairMove(world, scope);
    moves.push({ move });
    world = makeMove(world, scope, { move });
  }
}

/** Whether nobody leads, although somebody could. A term that has run out does not count, even if its process has not noticed yet. */
function awaitsLeader(world: World, scope: Scope): boolean {
  const living = world.processes.flatMap(({ liveness, election: { life } }, number) =>
    liveness === 'dead' ? [] : { life, ...clocksOf(world, scope, number) },
  );
  const leads = living.some(
    ({ life, now, date }) => life.phase.kind === 'leading' && isOpen(life, life.phase.term.number, now, date),
  );
  return !leads && living.some(({ life }) => !life.isLeaving);
}
