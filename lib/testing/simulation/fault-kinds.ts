/** Faults of single requests of one process, for a while. */
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

/** Faults of all requests of one process, for a while. */
export const pathFaultKinds = [
  'partition',
  'requestsCut',
  'repliesCut',
  'writesHang',
  'unauthorized401',
  'forbidden403',
  'writesRefused500',
] as const;

/** Faults of the watch of one process. */
export const watchFaultKinds = [
  'watchStalled',
  'watchEnded',
  'watchExpired410',
  'watchDenied403',
  'eventsDelayed',
  'eventsRepeated',
  'eventsDropped',
  'eventsStale',
] as const;

/** Faults of a process. */
export const processFaultKinds = [
  'loopBlocked',
  'frozen',
  'suspended',
  'killed',
  'exited',
  'restartedSameIdentity',
  'restartedNewIdentity',
  'stopped',
  'steppedDown',
  'unready',
  'asksForLease',
  'priorityChanged',
  'confirms',
  'wallClockStepped',
  'ratesApart',
] as const;

/** Faults of what an application does at the start and end of its terms. */
export const guardFaultKinds = ['guardSlow', 'guardFails', 'guardHangs'] as const;

/** Faults of pods and their nodes. */
export const podFaultKinds = [
  'containerRestarted',
  'processDiesAlone',
  'podDeleted',
  'podPhaseSet',
  'kubeletGuesses',
  'kubeletSilent',
  'nodeRebooted',
  'nodeClockSet',
] as const;

/** Faults on the way of the status of a pod to those who watch it. */
export const statusFaultKinds = ['statusDelayed', 'statusRepeated', 'statusDropped', 'statusStale'] as const;

/** Faults of the Lease or its server. */
export const serverFaultKinds = [
  'serverRestarted',
  'leaseDeleted',
  'leaseRecreated',
  'leaseTaken',
  'leaseReleased',
  'durationChanged',
  'leaseRelabelled',
  'recordTouched',
] as const;

/** One kind of fault. A report counts faults by these names. */
export type FaultKind =
  | (typeof requestFaultKinds)[number]
  | (typeof pathFaultKinds)[number]
  | (typeof watchFaultKinds)[number]
  | (typeof processFaultKinds)[number]
  | (typeof guardFaultKinds)[number]
  | (typeof podFaultKinds)[number]
  | (typeof statusFaultKinds)[number]
  | (typeof serverFaultKinds)[number];

/** Every kind of fault. */
export const faultKinds: readonly FaultKind[] = [
  ...requestFaultKinds,
  ...pathFaultKinds,
  ...watchFaultKinds,
  ...processFaultKinds,
  ...guardFaultKinds,
  ...podFaultKinds,
  ...statusFaultKinds,
  ...serverFaultKinds,
];

/** A fault that was injected. */
export interface SimulatedFault {
  readonly kind: FaultKind;
  readonly process: string | undefined;
  /** True time, in milliseconds from the start. */
  readonly at: number;
}
