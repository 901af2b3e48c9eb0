/** All that can go wrong in a simulation, by what it happens to. A closed list: a report counts by these names. */

/** What happens to single requests of one process, for a while. */
export const requestFaultKinds = [
  'requestLost',
  'replyLost',
  'requestDelayed',
  'replyDelayed',
  'requestReordered',
  'requestDuplicated',
  'requestHangs',
  'falseConflict',
  'throttled429',
  'serverError500',
  'unavailable503',
  'gatewayTimeout504',
] as const;

/** What happens to all requests of one process, for a while. */
export const pathFaultKinds = [
  'partition',
  'requestsCut',
  'repliesCut',
  'writesHang',
  'unauthorized401',
  'forbidden403',
  'writesRefused500',
] as const;

/** What happens to one process' watch. */
export const watchFaultKinds = [
  'watchStalled',
  'watchEnded',
  'watchExpired410',
  'eventsDelayed',
  'eventsRepeated',
  'eventsDropped',
  'eventsStale',
] as const;

/** What happens to a process. */
export const processFaultKinds = [
  'loopBlocked',
  'frozen',
  'suspended',
  'killed',
  'restartedSameIdentity',
  'restartedNewIdentity',
  'stopped',
  'steppedDown',
  'unready',
  'asksForLease',
  'confirms',
  'wallClockStepped',
  'ratesApart',
] as const;

/** What happens to the Lease or its server. */
export const serverFaultKinds = [
  'serverRestarted',
  'leaseDeleted',
  'leaseTaken',
  'leaseReleased',
  'durationChanged',
  'leaseRelabelled',
] as const;

/** One kind of fault. */
export type FaultKind =
  | (typeof requestFaultKinds)[number]
  | (typeof pathFaultKinds)[number]
  | (typeof watchFaultKinds)[number]
  | (typeof processFaultKinds)[number]
  | (typeof serverFaultKinds)[number];

/** Every kind of fault there is. */
export const faultKinds: readonly FaultKind[] = [
  ...requestFaultKinds,
  ...pathFaultKinds,
  ...watchFaultKinds,
  ...processFaultKinds,
  ...serverFaultKinds,
];
