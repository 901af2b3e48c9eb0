/**
 * Containers as far as a process can see them: a PID namespace of its own, and the files and variables of a pod as the kubelet lays
 * them out. Made with `unshare` and `nsenter` of util-linux.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { guard } from '../rig/guard.js';
import { childrenOf, type Container } from './replica-process.js';

/** What a container shows to its processes. */
export interface ContainerParts {
  readonly env?: NodeJS.ProcessEnv;
  /** The folder of its service account. Default: none. */
  readonly serviceAccount?: string;
  /** The folder of its pod below that of the kubelet, from which the kubelet mounts files. Default: none. */
  readonly mounted?: MountedFiles;
}

/** Paths outside the container. */
interface MountedFiles {
  readonly hosts: string;
  readonly terminationLog: string;
}

/** A pod in which these tests run may set the variables, too. */
const NOTHING_GIVEN: NodeJS.ProcessEnv = {
  POD_UID: undefined,
  POD_NAME: undefined,
  POD_NAMESPACE: undefined,
  CONTAINER_NAME: undefined,
};

const isRoot = process.getuid?.() === 0;
const UNSHARE: readonly [string, ...string[]] = [
  'unshare',
  ...(isRoot ? [] : ['--map-root-user']),
  '--pid',
  '--fork',
  '--kill-child',
  '--mount-proc',
];

/**
 * Runs inside, before the program, whose command line is its arguments. First it takes away what a kubelet around these tests has
 * mounted. The files of the service account are copied, links included, and the termination log is mounted over a file that exists
 * everywhere: where it is mounted is up to the pod. The shell stays the first process, because Linux does not end a first process by
 * a signal that it sends to itself, as Nest does at the end of a shutdown.
 */
const PREPARE = `
set -e
for place in $(awk '$4 ~ /\\/pods\\/.*\\/(etc-hosts|containers\\/.*)$/ { print $5 }' /proc/self/mountinfo); do umount "$place"; done
mount -t tmpfs none "$(readlink -f /var/run)"
if [ -n "$SERVICE_ACCOUNT" ]; then
  mkdir -p /var/run/secrets/kubernetes.io
  cp -a "$SERVICE_ACCOUNT" /var/run/secrets/kubernetes.io/serviceaccount
fi
if [ -n "$HOSTS" ]; then mount --bind "$HOSTS" /etc/hosts; fi
if [ -n "$TERMINATION_LOG" ]; then mount --bind "$TERMINATION_LOG" /etc/hostname; fi
"$@"
`;

/** Why there are no containers on this machine; undefined if there are. */
export function lackOfContainers(): string | undefined {
  const { command, args } = {
    command: UNSHARE[0],
    args: [...UNSHARE.slice(1), 'sh', '-c', PREPARE, 'sh', 'true'],
  };
  const { status, error, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, ...environment({}) },
  });
  return status === 0 ? undefined : `unshare does not work here: ${error?.message ?? stderr.trim()}`;
}

/** A new instance of a container, which ends with the replica. */
export function container(parts: ContainerParts): Container {
  return { command: [...UNSHARE, 'sh', '-c', PREPARE, 'sh'], env: environment(parts) };
}

/** A new instance of a container, whose first process starts and outlives several replicas. */
export async function containerOfSeveral(parts: ContainerParts): Promise<Container> {
  const {
    command: [command = UNSHARE[0], ...args],
    env,
  } = container(parts);
  const first = spawn(command, [...args, 'sh', '-c', 'echo ready; exec sleep infinity'], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const pid = String(first.pid);
  guard().watch(Number(pid));
  first.once('exit', () => {
    guard().forget(Number(pid));
  });
  await once(first.stdout, 'data');
  first.unref();
  const [inside = ''] = childrenOf(pid);
  const user = isRoot ? [] : ['--user', '--preserve-credentials'];
  return { command: ['nsenter', '--target', inside, ...user, '--pid', '--mount'], env };
}

/** A place that is no container: the PID namespace of the tests, as a pod with a shared process namespace has it. */
export function sharedNamespace(env: NodeJS.ProcessEnv): Container {
  return { command: [], env: { ...NOTHING_GIVEN, ...env } };
}

/** The files that the kubelet mounts into an instance of a container. */
export function mountedFiles(
  folder: string,
  { podUid, container: name, instance }: { podUid: string; container: string; instance: string },
): MountedFiles {
  const pod = join(folder, 'pods', podUid);
  const files = { hosts: join(pod, 'etc-hosts'), terminationLog: join(pod, 'containers', name, instance) };
  for (const path of Object.values(files)) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, '127.0.0.1 localhost\n');
  }
  return files;
}

function environment({ env = {}, serviceAccount, mounted }: ContainerParts): NodeJS.ProcessEnv {
  return {
    ...NOTHING_GIVEN,
    ...env,
    SERVICE_ACCOUNT: serviceAccount,
    HOSTS: mounted?.hosts,
    TERMINATION_LOG: mounted?.terminationLog,
  };
}
