/** What a process knows of itself, from files as the kubelet, container runtimes and Linux write them. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { endianness, hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { SystemClock, type WallMs } from '../../../lib/election/index.js';
import { ownProcess, type OwnProcess } from '../../../lib/kubernetes/death/own-process.js';

const POD_UID = '28478e30-384f-41e5-9d85-eae249ae8506';
const BOOT = '2cabbd09-a985-40de-9acb-d81cba391510';
const NOW = 1_767_226_200_000;
const ENVIRONMENT = { POD_UID, POD_NAME: 'billing-7d9', POD_NAMESPACE: 'prod', CONTAINER_NAME: 'app' };

const folder = mkdtempSync(join(tmpdir(), 'nestjs-leader-own-process-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

let count = 0;
let root = '';
beforeEach(() => {
  root = join(folder, String(++count));
});

/** What `/proc` and the service account's folder contain. An undefined file does not exist. */
interface Files {
  readonly mountinfo?: string | undefined;
  readonly stat?: string | undefined;
  readonly self?: string | undefined;
  readonly nspid?: string | undefined;
  readonly boot?: string | undefined;
  readonly uptime?: string | undefined;
  readonly auxv?: Buffer | undefined;
  readonly token?: string | undefined;
  readonly namespace?: string | undefined;
}

/** As Linux writes it for a process 1 that started 5,000 ticks after the boot. */
function statOf(start: number | string, command = 'node'): string {
  return (
    `1 (${command}) S 0 1 1 0 -1 4194560 2153 0 4 0 12 3 0 0 20 0 11 0 ${String(start)} 1183272960 15172 18446744073709551615 ` +
    `4194304 67207361 140727437093952 0 0 0 0 4096 134300162 0 0 0 17 2 0 0 0 0 0 69307536 69454512 112365568 ` +
    `140727437098820 140727437098841 140727437098841 140727437100007 0\n`
  );
}

/** An auxiliary vector: AT_PAGESZ 4096, AT_CLKTCK, AT_NULL. */
function auxvOf(ticks: number): Buffer {
  const isLong = /64|s390x/.test(process.arch);
  const words = [6, 4096, 17, ticks, 0, 0].map((word) => {
    const bytes = Buffer.alloc(isLong ? 8 : 4);
    if (endianness() === 'LE') bytes.writeUInt32LE(word, 0);
    else bytes.writeUInt32BE(word, bytes.length - 4);
    return bytes;
  });
  return Buffer.concat(words);
}

function tokenOf(kubernetes: unknown): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'RS256' })}.${part({ sub: 'system:serviceaccount:prod:default', 'kubernetes.io': kubernetes })}.signature`;
}

const bound = (pod: object): string =>
  tokenOf({ namespace: 'prod', pod, serviceaccount: { name: 'default', uid: 'x' } });

function write(path: string, content: string | Buffer | undefined): void {
  if (content === undefined) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

/** What the process 1 of a container knows, with these differences. */
function known(env: NodeJS.ProcessEnv, differences: Files = {}): OwnProcess {
  const files: Files = {
    mountinfo: PLAIN,
    stat: statOf(5_000),
    self: '1',
    nspid: '1',
    boot: `${BOOT}\n`,
    uptime: '10050.25 79863.11\n',
    auxv: auxvOf(100),
    ...differences,
  };
  const proc = join(root, 'proc');
  const serviceAccount = join(root, 'serviceaccount');
  mkdirSync(join(proc, '1'), { recursive: true });
  if (files.self !== undefined) symlinkSync(files.self, join(proc, 'self'));
  const own = join(proc, files.self ?? 'self');
  write(join(own, 'mountinfo'), files.mountinfo);
  write(join(own, 'auxv'), files.auxv);
  write(
    join(own, 'status'),
    `Name:\tnode\nPid:\t1\n${files.nspid === undefined ? '' : `NSpid:\t${files.nspid}\n`}Threads:\t11\n`,
  );
  write(join(proc, '1/stat'), files.stat);
  write(join(proc, 'uptime'), files.uptime);
  write(join(proc, 'sys/kernel/random/boot_id'), files.boot);
  write(join(serviceAccount, 'token'), files.token);
  write(join(serviceAccount, 'namespace'), files.namespace);
  const clock = Object.assign(new SystemClock(), { date: () => NOW as WallMs });
  return ownProcess({ env, proc, serviceAccount, pid: 1, clock });
}

// As they are printed in containers of these runtimes; only the ids and most lines of procfs and sysfs are left out.

/** No container of a kubelet. */
const PLAIN = `22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
`;
const CONTAINERD = `1517 1429 0:192 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/26/fs,upperdir=/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/48/fs
1518 1517 0:193 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
1531 1523 0:32 /kubepods/besteffort/pod${POD_UID}/58a77afcbf0b16959d526758f6696677c862517acc97a562dc5c5b09afbf5236 /sys/fs/cgroup/memory ro,nosuid,nodev,noexec,relatime master:17 - cgroup cgroup rw,memory
1535 1517 8:1 /var/lib/kubelet/pods/${POD_UID}/etc-hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw
1536 1519 8:1 /var/lib/kubelet/pods/${POD_UID}/containers/app/e3d5dec7 /dev/termination-log rw,relatime - ext4 /dev/sda1 rw
1537 1517 8:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/fb5916a02feca96bdeecd8e062df9e5e51d6617c8214b5e1f3ff9320f4402ae6/hostname /etc/hostname rw,relatime - ext4 /dev/sda1 rw
1540 1517 0:194 / /run/secrets/kubernetes.io/serviceaccount ro,relatime - tmpfs tmpfs rw,size=5925720k
`;
/** With cgroup v2, whose paths name nothing. */
const CRIO = `10303 9025 0:676 / / rw,relatime - overlay overlay rw,lowerdir=/var/lib/containers/storage/overlay/l/ABC
10304 10303 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,seclabel
10312 10303 0:25 /containers/storage/overlay-containers/2ac4c84cb0d3c3beb04beeef6ccf71c17b5fdd0252ce3a2b66bc2fdd0aaa1814/userdata/hostname /etc/hostname rw,nosuid,nodev master:15 - tmpfs tmpfs rw
10314 10303 252:4 /ostree/deploy/rhcos/var/lib/kubelet/pods/${POD_UID}/etc-hosts /etc/hosts rw,relatime - xfs /dev/vda4 rw
10315 10303 252:4 /ostree/deploy/rhcos/var/lib/kubelet/pods/${POD_UID}/containers/app/e3d5dec7 /dev/termination-log rw,relatime - xfs /dev/vda4 rw
`;
const DOCKER = `850 857 253:0 /var/lib/kubelet/pods/${POD_UID}/containers/app/e3d5dec7 /dev/termination-log rw,relatime - ext4 /dev/mapper/ubuntu--vg-ubuntu--lv rw
868 857 253:0 /var/lib/docker/containers/c0316cc3b633d0ba4167a2b8a9c0e56e374aa47e5da0954c7c007e0bf93e58b4/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/mapper/ubuntu--vg-ubuntu--lv rw
870 857 253:0 /var/lib/kubelet/pods/${POD_UID}/etc-hosts /etc/hosts rw,relatime - ext4 /dev/mapper/ubuntu--vg-ubuntu--lv rw
`;
const KIND = `3986 3977 252:0 /var/lib/docker/volumes/97d8/_data/lib/kubelet/pods/${POD_UID}/etc-hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw
3987 3977 252:0 /var/lib/docker/volumes/97d8/_data/lib/kubelet/pods/${POD_UID}/containers/app/e3d5dec7 /dev/termination-log rw,relatime - ext4 /dev/sda1 rw
`;
/** The kubelet's folder is a file system of its own; a volume of the pod contains the folder of another kubelet. */
const OWN_DISK = `2323 1421 253:3 /pods/${POD_UID}/etc-hosts /etc/hosts rw,relatime - xfs /dev/mapper/vg1-kubelet rw
2324 1443 253:3 /pods/${POD_UID}/containers/app/e3d5dec7 /run/why rw,relatime - xfs /dev/mapper/vg1-kubelet rw
2327 1421 253:3 /pods/${POD_UID}/volumes/kubernetes.io~empty-dir/data /var/lib/kubelet/pods rw,relatime - xfs /dev/mapper/vg1-kubelet rw
2328 1421 253:3 /pods/${POD_UID}/volume-subpaths/config/app/0 /etc/app rw,relatime - xfs /dev/mapper/vg1-kubelet rw
`;

describe('the pod and the container', () => {
  it('are those of the environment, on any node', () => {
    const { process, problem } = known(ENVIRONMENT);
    expect(problem).toBeUndefined();
    expect(process).toMatchObject({ podUid: POD_UID, pod: 'prod/billing-7d9', container: 'app' });
  });

  it.each([
    ['containerd and cgroup v1', CONTAINERD],
    ['CRI-O and cgroup v2', CRIO],
    ['Docker', DOCKER],
    ['a node that is a container', KIND],
    ["a disk of the kubelet's own", OWN_DISK],
  ])('are those of the mounts, without any variable: %s', (_, mountinfo) => {
    const { process, problem } = known({}, { mountinfo, namespace: 'prod' });
    expect(problem).toBeUndefined();
    expect(process).toMatchObject({
      podUid: POD_UID,
      pod: `prod/${hostname()}`,
      container: 'app',
      instance: { boot: BOOT, start: 5_000, terminationLog: 'e3d5dec7' },
    });
  });

  it('are those of the bound token, whose pod and namespace come before those of the host', () => {
    const token = bound({ name: 'billing-7d9', uid: POD_UID });
    expect(known({ CONTAINER_NAME: 'app' }, { token, namespace: 'prod' }).process).toMatchObject({
      podUid: POD_UID,
      pod: 'prod/billing-7d9',
      container: 'app',
    });
  });

  it('are certain where all sources agree', () => {
    const token = bound({ name: 'billing-7d9', uid: POD_UID });
    expect(known(ENVIRONMENT, { token, mountinfo: CONTAINERD })).toMatchObject({
      process: { podUid: POD_UID, container: 'app', instance: { terminationLog: 'e3d5dec7' } },
      problem: undefined,
    });
  });

  it.each<[string, NodeJS.ProcessEnv, Files?]>([
    ['outside a pod', {}],
    ['the pod is unknown', { CONTAINER_NAME: 'app' }],
    ['the container is unknown', { POD_UID }],
    ['the variables are empty', { POD_UID: '', CONTAINER_NAME: '' }],
    ['the mounts name only the pod', {}, { mountinfo: CONTAINERD.replace(/.*termination-log.*\n/, '') }],
    ['the token is that of a Secret', { CONTAINER_NAME: 'app' }, { token: tokenOf(undefined) }],
    ['the token is for no pod', { CONTAINER_NAME: 'app' }, { token: tokenOf({ namespace: 'prod' }) }],
    ['the claims are of other types', { CONTAINER_NAME: 'app' }, { token: bound({ uid: 4, name: [] }) }],
    ['the token is none', { CONTAINER_NAME: 'app' }, { token: 'opaque' }],
    ['the token is broken', { CONTAINER_NAME: 'app' }, { token: 'a.bm8ganNvbg.c' }],
    ['the mounts cannot be read', {}, { mountinfo: undefined }],
    [
      'the termination log was deleted',
      {},
      { mountinfo: CONTAINERD.replace('e3d5dec7', 'e3d5dec7//deleted') },
    ],
  ])('are unknown, and no problem: %s', (_, env, files) => {
    expect(known(env, files)).toEqual({ process: undefined, problem: undefined });
  });

  it.each<[string, NodeJS.ProcessEnv, Files, string]>([
    [
      'another pod in the environment',
      { ...ENVIRONMENT, POD_UID: 'other' },
      { mountinfo: CRIO },
      `POD_UID, 'other', and the mounts of the kubelet (/proc/self/mountinfo), '${POD_UID}', do not name the same pod: set ` +
        `POD_UID by the downward API (metadata.uid), or leave it out`,
    ],
    [
      'another pod in the token',
      ENVIRONMENT,
      { token: bound({ name: 'billing-7d9', uid: 'secret-uid' }) },
      `POD_UID, '${POD_UID}', and the token of the pod's service account do not name the same pod`,
    ],
    [
      'another pod in the token than in the mounts',
      {},
      { token: bound({ uid: 'secret-uid' }), mountinfo: CRIO },
      "the token of the pod's service account and the mounts of the kubelet",
    ],
    [
      'another name of the pod',
      { ...ENVIRONMENT, POD_NAME: 'other' },
      { token: bound({ name: 'secret-name', uid: POD_UID }) },
      "POD_NAME, 'other', and the token of the pod's service account do not name the same pod: set POD_NAME by",
    ],
    [
      'another container in the environment',
      { ...ENVIRONMENT, CONTAINER_NAME: 'sidecar' },
      { mountinfo: CONTAINERD },
      "CONTAINER_NAME, 'sidecar', and the mounts of the kubelet (/proc/self/mountinfo), 'app', do not name the same container: set",
    ],
    [
      'mounts from the folders of two pods',
      {},
      { mountinfo: CONTAINERD + CRIO.replaceAll(POD_UID, 'other') },
      'do not name the same pod',
    ],
    [
      'a variable that nobody replaced',
      { ...ENVIRONMENT, POD_UID: '$(POD_UID)' },
      {},
      "POD_UID, '$(POD_UID)', is not a uid that a pod can have: set POD_UID by the downward API",
    ],
    [
      'a container that cannot be',
      { ...ENVIRONMENT, CONTAINER_NAME: 'app;instance=1' },
      {},
      "CONTAINER_NAME, 'app;instance=1', is not a name that a container can have: set CONTAINER_NAME to the name of this",
    ],
    [
      'a pod that cannot be',
      { ...ENVIRONMENT, POD_NAME: 'A B' },
      {},
      "POD_NAME, 'A B', is not a name that a pod can have",
    ],
  ])('are not certain, and the log says why: %s', (_, env, files, why) => {
    const { process, problem } = known(env, files);
    expect(process).toBeUndefined();
    expect(problem).toContain(
      'It is not certain in which container this process runs, so its lease has to expire when it has been killed (SIGKILL, out of memory)',
    );
    expect(problem).toContain(why);
    expect(problem).not.toMatch(/secret-|undefined/);
  });

  it('a POD_NAMESPACE that cannot be leaves out the name of the pod', () => {
    const { process } = known({ ...ENVIRONMENT, POD_NAMESPACE: 'Not A Namespace' });
    expect(process).toMatchObject({ podUid: POD_UID, pod: undefined });
  });
});

describe('the instance', () => {
  it.each([
    ['a plain command', 'node', 5_000],
    ['a command with spaces and parentheses', 'a) S (b) c', 5_000],
    ['a command with a new line', 'a\n1) b', 123],
  ])('begins with the first process of the namespace: %s', (_, command, start) => {
    expect(known(ENVIRONMENT, { stat: statOf(start, command) }).process?.instance).toEqual({
      boot: BOOT,
      start,
      terminationLog: undefined,
    });
  });

  it.each<[string, Files]>([
    ['the first process started with the kernel', { stat: statOf(0) }],
    ['its start is no number', { stat: statOf('-') }],
    ['its file is cut off', { stat: '1 (node) S 0 1' }],
    ['its file is empty', { stat: '' }],
    ['the first process is hidden (hidepid)', { stat: undefined }],
    ['the boot id is hidden', { boot: undefined }],
    ['the boot id is none', { boot: '\n' }],
    ['procfs shows another process in our place', { self: '2' }],
    ['procfs is of the namespace around ours', { nspid: '4711\t1' }],
    [
      'procfs is of the namespace around ours, in which the id is another',
      { self: '4711', nspid: '4711\t1' },
    ],
    ['the kernel does not say in which namespace', { nspid: undefined }],
    ['there is no procfs', { self: undefined }],
  ])('is unknown: %s', (_, files) => {
    expect(known(ENVIRONMENT, files)).toMatchObject({
      process: { podUid: POD_UID, container: 'app', instance: undefined, startedOn: undefined },
      problem: undefined,
    });
  });
});

describe('when the first process started, in seconds since 1970', () => {
  const startedOn = (files: Files): number | undefined => known(ENVIRONMENT, files).process?.startedOn;
  /** The machine booted at this second. */
  const BOOTED_ON = NOW / 1_000 - 10_050;

  it.each([
    // The kernel rounds the uptime and the start down to hundredths.
    ['in the middle of a second', '10050.00', 5_050, 100, BOOTED_ON + 50],
    ['at the end of a second: rather in the next', '10050.00', 5_099, 100, BOOTED_ON + 51],
    ['with another clock tick', '10050.00', 50_500, 1_000, BOOTED_ON + 50],
  ])('%s', (_, uptime, start, ticks, expected) => {
    expect(startedOn({ uptime: `${uptime} 1.00\n`, stat: statOf(start), auxv: auxvOf(ticks) })).toBe(
      expected,
    );
  });

  it.each<[string, Files]>([
    ['the uptime is hidden', { uptime: undefined }],
    ['the uptime is none', { uptime: 'long' }],
    ['the auxiliary vector is hidden', { auxv: undefined }],
    ['the auxiliary vector has no clock tick', { auxv: auxvOf(100).subarray(0, 16) }],
    ['the clock tick is none', { auxv: auxvOf(0) }],
  ])('is unknown: %s', (_, files) => {
    expect(known(ENVIRONMENT, files).process).toMatchObject({
      instance: { start: 5_000 },
      startedOn: undefined,
    });
  });
});

it('on this machine, the start is in the past', () => {
  const { process: own } = ownProcess({ env: { POD_UID: 'x', CONTAINER_NAME: 'app' }, serviceAccount: root });
  expect(own?.startedOn ?? 0).toBeLessThanOrEqual(Date.now() / 1_000);
});
