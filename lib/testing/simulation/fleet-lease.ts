import type { SimulatedLease } from '../simulated-lease.js';
import type { Witness } from './witness.js';

/** A Lease of a fleet, and who watches it. */
export interface FleetLease {
  readonly leaseName: string;
  /** The slot of its terms. */
  readonly slot: number;
  readonly lease: SimulatedLease;
  readonly witness: Witness;
  /** When it last changed. */
  changedAt: number;
  /** The process that changed it last; undefined: nobody, or somebody by hand. */
  writtenBy: string | undefined;
}
