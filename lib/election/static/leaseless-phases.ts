import type { Clock } from '../clock.js';
import { describePhase } from '../describe-phase.js';
import type { ElectorState } from '../elector.js';
import type { ElectionMeter } from '../meter.js';
import { Phases } from '../phases.js';

/** What an elector without a lease is made of. */
export interface LeaselessParts {
  /** What the election is called where a lease would be named. */
  readonly leaseName: string;
  /** The name of this process in it. */
  readonly identity: string;
  /** How long a hand-over waits for running work before it says so, in milliseconds. */
  readonly drainTimeout: number;
  readonly clock: Clock;
  readonly meter: ElectionMeter | undefined;
}

/** The phases of an elector that asks nobody: nothing to release, nothing to confirm, no lease to lose. */
export function leaselessPhases(
  parts: LeaselessParts,
  host: { leader: () => string; wake: () => void; stopped: () => void },
): { phases: Phases; describe: () => ElectorState } {
  const { clock, leaseName, identity, drainTimeout, meter } = parts;
  const describe = (): ElectorState =>
    describePhase(phases.current, {
      leader: host.leader(),
      expiresAt: undefined,
      running: phases.running,
    });
  const phases: Phases = new Phases({
    clock,
    options: {
      leaseName,
      identity,
      drainTimeout,
      // Bounds the wait for a guard, of which there is none.
      retryPeriod: 0,
      releaseOnCancel: true,
      onLost: 'campaign',
    },
    meter,
    describe,
    wake: host.wake,
    voidWrites: () => undefined,
    release: () => Promise.resolve({ kind: 'notOurs' }),
    releaseFailed: () => undefined,
    confirm: () => Promise.resolve(),
    stopped: host.stopped,
  });
  return { phases, describe };
}
