import { readFileSync, readlinkSync } from 'node:fs';
import { endianness, hostname } from 'node:os';
import { join } from 'node:path';
import {
  SystemClock,
  fieldsOf,
  isSubdomain,
  show,
  type Clock,
  type ContainerInstance,
  type HolderProcess,
  type SignOfLife,
} from '../../election/internal.js';
import { SERVICE_ACCOUNT_FOLDER, podNamespace } from '../pod.js';
import { ownSignOfLife } from './sign-of-life.js';

/** Where the facts about a process are read. */
export interface ProcessSources {
  readonly env: NodeJS.ProcessEnv;
  /** The folder of the pod's service account. */
  readonly serviceAccount: string;
  /** Where procfs is mounted. */
  readonly proc: string;
  readonly pid: number;
  readonly clock: Clock;
  readonly sign: () => SignOfLife | undefined;
}

/** What this process knows of itself. */
export interface OwnProcess {
  /** Undefined outside a pod, and if the pod or the container is not certain. */
  readonly process: HolderProcess | undefined;
  /** What the sources say that cannot be: for the log. */
  readonly problem: string | undefined;
}

/**
 * Reads in which pod, container and container instance this process runs. Never throws; what is not certain is left out. The facts
 * do not change while a process runs.
 *
 * The pod and the container are named by environment variables (`POD_UID`, `POD_NAME`, `CONTAINER_NAME`), by the claims of the bound
 * token of the service account, and by the files that the kubelet mounts from its folder of the pod. Where two of them contradict
 * each other, nothing is certain.
 */
export function ownProcess(sources: Partial<ProcessSources> = {}): OwnProcess {
  const { env, serviceAccount, proc, pid, clock, sign }: ProcessSources = {
    env: process.env,
    serviceAccount: SERVICE_ACCOUNT_FOLDER,
    proc: '/proc',
    pid: process.pid,
    clock: new SystemClock(),
    sign: ownSignOfLife,
    ...sources,
  };
  const mounts = kubeletMounts(textIn(join(proc, 'self/mountinfo')));
  const token = claimsIn(textIn(join(serviceAccount, 'token')));
  const problems: string[] = [];
  const podUid = agreed(UID, problems, [
    ['POD_UID', env['POD_UID']],
    [TOKEN, token.uid],
    ...mounts.podUids.map((uid): Saying => [MOUNTS, uid]),
  ]);
  const podName = agreed(NAME, problems, [
    ['POD_NAME', env['POD_NAME']],
    [TOKEN, token.name],
  ]);
  const container = agreed(CONTAINER, problems, [
    ['CONTAINER_NAME', env['CONTAINER_NAME']],
    ...mounts.containers.map((name): Saying => [MOUNTS, name]),
  ]);
  if (problems.length > 0) return { process: undefined, problem: uncertain(problems) };
  if (podUid === undefined || container === undefined) return { process: undefined, problem: undefined };
  const instance = instanceIn(proc, pid, mounts);
  return {
    process: {
      podUid,
      pod: podIn(token.namespace ?? namespaceIn(serviceAccount, env), podName ?? hostname()),
      container,
      instance,
      sign: sign(),
      startedOn: instance && startedOn(proc, instance.start, clock),
    },
    problem: undefined,
  };
}

// The pod and the container

const TOKEN = "the token of the pod's service account";
const MOUNTS = 'the mounts of the kubelet (/proc/self/mountinfo)';

/** What one source says; undefined or empty if it says nothing. */
type Saying = readonly [source: string, value: string | undefined];

/** A fact that several sources may state. */
interface Fact {
  readonly named: string;
  readonly rule: string;
  readonly isValid: (value: string) => boolean;
  readonly remedy: string;
}

const UID: Fact = {
  named: 'pod',
  rule: 'a uid that a pod can have',
  // The uid of a static pod is a hash.
  isValid: (uid) => /^[\w-]{1,64}$/.test(uid),
  remedy: 'set POD_UID by the downward API (metadata.uid), or leave it out',
};
const NAME: Fact = {
  named: 'pod',
  rule: 'a name that a pod can have',
  isValid: isSubdomain,
  remedy: 'set POD_NAME by the downward API (metadata.name), or leave it out',
};
const CONTAINER: Fact = {
  named: 'container',
  rule: 'a name that a container can have',
  isValid: (name) => /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name),
  remedy: 'set CONTAINER_NAME to the name of this very container in the manifest, or leave it out',
};

/** The value that every source states which states one. Adds a sentence to `problems` if a value is not valid, or if two differ. */
function agreed(fact: Fact, problems: string[], sayings: readonly Saying[]): string | undefined {
  const known = sayings.flatMap(([source, value = '']) => (value === '' ? [] : [{ source, value }]));
  const [invalid] = known.filter(({ value }) => !fact.isValid(value));
  const [first] = known;
  const other = known.find(({ value }) => value !== first?.value);
  if (first === undefined) return undefined;
  if (invalid !== undefined) problems.push(`${shown(invalid)} is not ${fact.rule}: ${fact.remedy}`);
  else if (other !== undefined)
    problems.push(`${shown(first)} and ${shown(other)} do not name the same ${fact.named}: ${fact.remedy}`);
  else return first.value;
  return undefined;
}

/** Nothing that a token contains is shown. */
function shown({ source, value }: { readonly source: string; readonly value: string }): string {
  return source === TOKEN ? source : `${source}, ${show(value)},`;
}

function uncertain(problems: readonly string[]): string {
  return (
    `It is not certain in which container this process runs, so its lease has to expire when it has been killed (SIGKILL, out of ` +
    `memory), as with takeover: 'expiry'. ${problems.join('; ')}.`
  );
}

/** The claims about the pod in the payload of a bound service account token. The token of a Secret has none. */
function claimsIn(token: string | undefined): {
  readonly uid?: string | undefined;
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
} {
  const [, payload = ''] = token?.split('.') ?? [];
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    const kubernetes = fieldsOf(fieldsOf(claims)?.['kubernetes.io']);
    const pod = fieldsOf(kubernetes?.['pod']);
    return { uid: textAt(pod, 'uid'), name: textAt(pod, 'name'), namespace: textAt(kubernetes, 'namespace') };
  } catch {
    return {};
  }
}

function textAt(fields: Readonly<Record<string, unknown>> | undefined, field: string): string | undefined {
  const value = fields?.[field];
  return typeof value === 'string' ? value : undefined;
}

/** The parts of the paths, below the kubelet's folder of this pod, from which files are mounted into this container. */
interface KubeletMounts {
  readonly podUids: readonly string[];
  readonly containers: readonly string[];
  /** The names of termination logs. */
  readonly logs: readonly string[];
}

/**
 * The mounts that the kubelet adds to every container, in the text of `/proc/self/mountinfo`: `/etc/hosts` from `pods/<uid>/etc-hosts`,
 * and the termination log from `pods/<uid>/containers/<name>/<a name for each instance>`. Before them stands the path of the kubelet's
 * folder within its file system.
 *
 * @see https://github.com/kubernetes/kubernetes/blob/v1.33.0/pkg/kubelet/kuberuntime/kuberuntime_container.go `makeMounts`
 * @see https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
 */
function kubeletMounts(mountinfo = ''): KubeletMounts {
  const roots = mountinfo.split('\n').map((line) => line.split(' ')[3] ?? '');
  const hosts = roots.flatMap((root) => /(?:^|\/)pods\/([\w-]+)\/etc-hosts$/.exec(root)?.slice(1) ?? []);
  const logs = roots.flatMap((root) => {
    const [, uid, container, log] =
      /(?:^|\/)pods\/([\w-]+)\/containers\/([a-z0-9-]+)\/([0-9a-f]+)$/.exec(root) ?? [];
    return uid === undefined || container === undefined || log === undefined ? [] : [{ uid, container, log }];
  });
  return {
    podUids: [...hosts, ...logs.map(({ uid }) => uid)],
    containers: logs.map(({ container }) => container),
    logs: logs.map(({ log }) => log),
  };
}

/** `POD_NAMESPACE` is checked where the namespace of a Lease depends on it. */
function namespaceIn(serviceAccount: string, env: NodeJS.ProcessEnv): string | undefined {
  try {
    return podNamespace(serviceAccount, env);
  } catch {
    return undefined;
  }
}

function podIn(namespace: string | undefined, name: string): string | undefined {
  return namespace !== undefined && isSubdomain(namespace) && isSubdomain(name)
    ? `${namespace}/${name}`
    : undefined;
}

// The instance

/**
 * The instance of this process' container. Undefined if procfs is not that of its PID namespace, hides its first process, or has not
 * all of its files.
 */
function instanceIn(proc: string, pid: number, { logs }: KubeletMounts): ContainerInstance | undefined {
  const status = textIn(join(proc, 'self/status'));
  // The ids of this process, from the namespace of this procfs down to its own.
  const [, ids] = /^NSpid:(.*)$/m.exec(status ?? '') ?? [];
  if (linkIn(join(proc, 'self')) !== String(pid) || ids?.trim() !== String(pid)) return undefined;
  const boot = textIn(join(proc, 'sys/kernel/random/boot_id'))?.trim() ?? '';
  const start = startIn(textIn(join(proc, '1/stat')));
  if (!/^[0-9a-f-]{36}$/.test(boot) || start === undefined) return undefined;
  return { boot, start, terminationLog: logs[0] };
}

/** Field 22 in the text of `/proc/<pid>/stat`. Field 2 is the command, which may contain spaces and parentheses. */
function startIn(stat = ''): number | undefined {
  const start = stat.slice(stat.lastIndexOf(')') + 1).split(' ')[20] ?? '';
  // A first process that started with the kernel is that of the node. Where the time is hidden it is 0, too.
  return /^[1-9]\d{0,14}$/.test(start) ? Number(start) : undefined;
}

/**
 * When the first process started, in seconds since 1970; up to a few hundredths of a second later than it did, never earlier: what is
 * reported of an instance before it must not be taken for one of this.
 */
function startedOn(proc: string, start: number, clock: Clock): number | undefined {
  const ticksPerSecond = ticksIn(join(proc, 'self/auxv'));
  const [uptime] = /^\d+\.\d+/.exec(textIn(join(proc, 'uptime')) ?? '') ?? [];
  if (ticksPerSecond === undefined || uptime === undefined) return undefined;
  // After the uptime was read. The kernel rounds both times down.
  const bootedAt = clock.date() / 1_000 - Number(uptime);
  return Math.floor(bootedAt + (start + 1) / ticksPerSecond);
}

/** The type `AT_CLKTCK` in the auxiliary vector: how many clock ticks a second has, as `sysconf(_SC_CLK_TCK)` returns it. */
const AT_CLKTCK = 17;

/** Reads the auxiliary vector of this process, pairs of a type and a value, each as long as an address. */
function ticksIn(path: string): number | undefined {
  const vector = attempt(() => readFileSync(path)) ?? Buffer.alloc(0);
  const word = /64|s390x/.test(process.arch) ? 8 : 4;
  const values = Array.from({ length: Math.floor(vector.length / word) }, (_, index) => {
    const bytes = Buffer.from(vector.subarray(index * word, (index + 1) * word));
    return Number.parseInt((endianness() === 'LE' ? bytes.reverse() : bytes).toString('hex'), 16);
  });
  const ticks = values.find((_, index) => index % 2 === 1 && values[index - 1] === AT_CLKTCK);
  return ticks === undefined || ticks <= 0 ? undefined : ticks;
}

// Files

function textIn(path: string): string | undefined {
  return attempt(() => readFileSync(path, 'utf8'));
}

function linkIn(path: string): string | undefined {
  return attempt(() => readlinkSync(path));
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
