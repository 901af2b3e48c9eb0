import type { LoggerService } from '@nestjs/common';
import type { TermEndReason } from '../election/index.js';

/** Ends the process for `onLost: 'exit'`, as users of client-go do. The only place in this package that does. */
export function exitOnLoss(leaseName: string, reason: TermEndReason, logger: LoggerService): void {
  logger.error(`Lost '${leaseName}' (${reason}). Exiting with code 1, as onLost: 'exit' asks.`);
  process.exit(1);
}
