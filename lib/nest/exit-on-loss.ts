import type { LoggerService } from '@nestjs/common';
import type { TermEndReason } from '../election/index.js';

/** `onLost: 'exit'`: ends the process, as client-go's users do. The one place in this package that does. */
export function exitOnLoss(leaseName: string, reason: TermEndReason, logger: LoggerService): void {
  logger.error(`Lost '${leaseName}' (${reason}). Exiting with code 1, as onLost: 'exit' asks.`);
  process.exit(1);
}
