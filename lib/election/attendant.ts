import type { ElectionEvent } from './elector.js';
import type { LeaderError } from './errors.js';

/** Is told what fails, as an election tells of it: by its `error` event. The election goes on. */
export type Report = (error: LeaderError) => void;

/** Goes along with an election, and has no part in it. */
export interface Attendant {
  /** The election begins. */
  start(report: Report): void;
  onEvent?(event: ElectionEvent): void;
  /** The election has ended. */
  stop(): void | Promise<void>;
}
