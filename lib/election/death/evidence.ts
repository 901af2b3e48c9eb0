/**
 * What proves that the process of a holder is dead (ARCHITECTURE.md, rule 13). Pure.
 *
 * Evidence names that very process: its container's instance, or the id of its container. What is missing, silent or unknown
 * proves nothing, and neither does the state of something around it: a deleted pod, the phase of a pod, a node that does not
 * answer.
 */

/** What a holder knows of its process, and writes into the Lease. What it does not know for certain is missing. */
export interface HolderProcess {
  /** The uid of its pod. */
  readonly podUid: string;
  /** Namespace and name of its pod, as `namespace/name`. */
  readonly pod?: string | undefined;
  /** The name of its container in that pod. */
  readonly container: string;
  /** The instance of that container. */
  readonly instance?: ContainerInstance | undefined;
  /** What the kernel shows as long as it lives. */
  readonly sign?: SignOfLife | undefined;
  /** The id of its container, as the status of its pod shows it: `containerd://…`. */
  readonly containerId?: string | undefined;
  /** When the first process of its container started: seconds since 1970 by the clock of its node. */
  readonly startedOn?: number | undefined;
}

/** A socket that the kernel closes when its process ends. */
export interface SignOfLife {
  /** The number of the network namespace to which its name belongs. */
  readonly network: string;
  readonly name: string;
}

/**
 * An instance of a container: the first process in its PID namespace. A container that restarts has another first process. If
 * containers share a PID namespace, its first process is not theirs and stays the same.
 */
export interface ContainerInstance {
  /** The boot id of the node's kernel. */
  readonly boot: string;
  /** When the first process started, in clock ticks since that boot. */
  readonly start: number;
  /**
   * The name that the kubelet gave to the file in which this instance may leave a message: another for each instance. It tells apart
   * what the first process cannot: PID namespaces that a container makes for itself.
   */
  readonly terminationLog?: string | undefined;
}

// As text

const FIELDS = [
  'podUid',
  'pod',
  'container',
  'boot',
  'start',
  'terminationLog',
  'network',
  'name',
  'containerId',
  'startedOn',
] as const;

/** `process` as one line: `podUid=…;container=…;…`. */
export function textOf({ instance, sign, ...process }: HolderProcess): string {
  const values = { ...process, ...instance, ...sign };
  return FIELDS.filter((field) => values[field] !== undefined)
    .map((field) => `${field}=${String(values[field])}`)
    .join(';');
}

/** What a holder wrote with {@link textOf}; undefined for any other text. */
export function processOf(text: string): HolderProcess | undefined {
  const values = new Map(text.split(';').map(fieldIn));
  const [podUid, container, boot, network, name] = ['podUid', 'container', 'boot', 'network', 'name'].map(
    (field) => values.get(field),
  );
  if (podUid === undefined || container === undefined) return undefined;
  const start = wholeNumber(values.get('start'));
  return {
    podUid,
    container,
    pod: values.get('pod'),
    instance:
      boot === undefined || start === undefined
        ? undefined
        : { boot, start, terminationLog: values.get('terminationLog') },
    sign: network === undefined || name === undefined ? undefined : { network, name },
    containerId: values.get('containerId'),
    startedOn: wholeNumber(values.get('startedOn')),
  };
}

/** The field and the value in `field=value`; two empty texts if either is empty. */
function fieldIn(part: string): [field: string, value: string] {
  const [, field = '', value = ''] = /^([^=]+)=(.+)$/.exec(part) ?? [];
  return [field, value];
}

function wholeNumber(text = ''): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

// The same container again

/**
 * Whether `holder` was an earlier instance of the container in which this process, `own`, runs. The kubelet means to run no two
 * instances of one container, but may lose sight of one; so the kernel must say that the process has ended, too.
 */
export function isEarlierInstance(holder: HolderProcess, own: HolderProcess): boolean {
  if (holder.podUid !== own.podUid || holder.container !== own.container) return false;
  const [its, ours] = [holder.instance, own.instance];
  if (its === undefined || ours === undefined) return false;
  // Another boot may be that of another machine, on which it still runs: nothing keeps two machines from having one node name.
  return its.boot === ours.boot && its.start < ours.start && hasOtherLog(its, ours);
}

/** Whether two instances have different termination logs, or none: all instances of a container are mounted alike. */
function hasOtherLog(its: ContainerInstance, ours: ContainerInstance): boolean {
  const [itsLog, ourLog] = [its.terminationLog, ours.terminationLog];
  return itsLog === undefined || ourLog === undefined ? itsLog === ourLog : itsLog !== ourLog;
}

// The status of the pod

/** The parts of a Pod that are read. Every part may be missing, or be something else. */
export interface PodSeen {
  readonly metadata?: { readonly uid?: unknown } | null;
  readonly spec?: Readonly<Record<string, unknown>> | null | undefined;
  readonly status?: Readonly<Record<string, unknown>> | null;
}

/** The lists of containers in the spec of a Pod, and of their statuses. */
const LISTS = [
  ['containers', 'containerStatuses'],
  ['initContainers', 'initContainerStatuses'],
  ['ephemeralContainers', 'ephemeralContainerStatuses'],
] as const;

/**
 * Whether the status of the pod of `holder` proves it dead: its very container is reported as terminated, or the pod has ended
 * with all of its containers reported so.
 */
export function isReportedDead(holder: HolderProcess, pod: PodSeen): boolean {
  if (pod.metadata?.uid !== holder.podUid || sharesProcesses(pod)) return false;
  return isContainerReported(holder, pod) || isWholePodReported(holder, pod);
}

/** Whether the first process that a container of this pod sees is not its own, so that it does not know when it started. */
function sharesProcesses({ spec }: PodSeen): boolean {
  return spec?.['shareProcessNamespace'] === true || spec?.['hostPID'] === true;
}

function isContainerReported({ container, containerId, startedOn }: HolderProcess, pod: PodSeen): boolean {
  if (containerId === undefined || startedOn === undefined) return false;
  return statusesOf(pod)
    .filter(({ name }) => name === container)
    .flatMap(({ state, lastState }) => [terminatedIn(state), terminatedIn(lastState)])
    .some((end) => end?.containerId === containerId && end.finishedOn > startedOn);
}

/**
 * A pod that has ended starts no container again. But others than the kubelet write the phase, too, beside a status in which only
 * the instance before the holder has terminated: so what has ended must have started no earlier than the holder. Its end alone
 * would not tell: the clock of the node may have been set back before the holder started.
 */
function isWholePodReported({ container, startedOn }: HolderProcess, pod: PodSeen): boolean {
  const { phase } = pod.status ?? {};
  if (startedOn === undefined || (phase !== 'Failed' && phase !== 'Succeeded')) return false;
  const statuses = statusesOf(pod);
  const its = statuses.find(({ name }) => name === container);
  const end = terminatedIn(its?.['state']);
  if (end?.startedOn === undefined || end.startedOn < startedOn || end.finishedOn <= startedOn) return false;
  const names = LISTS.flatMap(([list]) => objectsIn(pod.spec?.[list])).map(({ name }) => name);
  return (
    names.length > 0 &&
    names.every((name) => statuses.some((status) => status['name'] === name)) &&
    statuses.every(({ state }) => terminatedIn(state) !== undefined)
  );
}

/**
 * The id of the container in which `own` runs, as the status of its pod shows it; undefined while the status may still show
 * the instance before it.
 */
export function ownContainerId(
  { podUid, container, startedOn }: HolderProcess,
  pod: PodSeen,
): string | undefined {
  if (pod.metadata?.uid !== podUid || sharesProcesses(pod) || startedOn === undefined) return undefined;
  const status = partOf(statusesOf(pod).find(({ name }) => name === container));
  const startedAt = secondsOf(partOf(partOf(status['state'])['running'])['startedAt']);
  // The runtime starts the first process before it notes the time.
  if (startedAt === undefined || startedAt < startedOn) return undefined;
  return idIn(status['containerID']);
}

function statusesOf(pod: PodSeen): readonly Readonly<Record<string, unknown>>[] {
  return LISTS.flatMap(([, list]) => objectsIn(pod.status?.[list]));
}

interface ContainerEnd {
  readonly containerId: string;
  readonly startedOn: number | undefined;
  readonly finishedOn: number;
}

/** The end of a container in a `state` or `lastState`; undefined if it has not ended, or if that is not certain. */
function terminatedIn(state: unknown): ContainerEnd | undefined {
  const { terminated } = partOf(state);
  const { containerID, startedAt, finishedAt, exitCode, reason } = partOf(terminated);
  const containerId = idIn(containerID);
  const finishedOn = secondsOf(finishedAt);
  return containerId === undefined || finishedOn === undefined || !isSeenEnd(reason, exitCode)
    ? undefined
    : { containerId, startedOn: secondsOf(startedAt), finishedOn };
}

/** The reasons that runtimes give for an end that they have seen. */
const SEEN: readonly unknown[] = ['Completed', 'Error', 'OOMKilled'];

/**
 * Others mean that somebody has lost track of the container (`ContainerStatusUnknown`, `NotFound`), or that it could not be
 * started, and it may run all the same (`StartError`). containerd and CRI-O report 255, CRI-O with the reason Error, for a
 * container whose state they cannot read.
 */
function isSeenEnd(reason: unknown, exitCode: unknown): boolean {
  return SEEN.includes(reason) && typeof exitCode === 'number' && exitCode >= 0 && exitCode < 255;
}

function idIn(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\w+.-]+:\/\/[\w.-]+$/.test(value) ? value : undefined;
}

/** Seconds since 1970 of a time as the API server prints it. */
function secondsOf(time: unknown): number | undefined {
  const ms = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return ms > 0 ? Math.floor(ms / 1000) : undefined;
}

function objectsIn(list: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(list) ? list.map(partOf) : [];
}

function partOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
