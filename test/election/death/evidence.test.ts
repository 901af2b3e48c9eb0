/** What proves the process of a holder dead, and what never does: one row for each. */
import { describe, expect, it } from 'vitest';
import {
  isEarlierInstance,
  isReportedDead,
  ownContainerId,
  processOf,
  textOf,
  type HolderProcess,
  type PodSeen,
} from '../../../lib/election/death/evidence.js';

const POD_UID = '0c6f7a3e-8d0e-4c56-9f60-1d7a1f0b1c9e';
const ID = `containerd://${'a'.repeat(64)}`;
const OTHER_ID = `containerd://${'b'.repeat(64)}`;
/** 2026-01-01T00:10:00Z. */
const STARTED_ON = 1_767_226_200;

const holder: HolderProcess = {
  podUid: POD_UID,
  pod: 'prod/billing-7d9',
  container: 'app',
  instance: { boot: '7e1c5bd8-6f7b-4a1c-b1b2-55a1c7f6a001', start: 5_000, terminationLog: '1a2b3c4d' },
  sign: { network: '4026531840', name: 'nestjs-leader/0a1b' },
  containerId: ID,
  startedOn: STARTED_ON,
};

/** The process with parts of its instance changed. */
function withInstance(changes: Partial<NonNullable<HolderProcess['instance']>>): HolderProcess {
  return { ...holder, instance: { boot: '', start: 0, ...holder.instance, ...changes } };
}

describe('as text', () => {
  it.each<[string, HolderProcess]>([
    ['all that is known', holder],
    ['only pod and container', { podUid: POD_UID, container: 'app' }],
    ['no termination log', withInstance({ terminationLog: undefined })],
    ['no instance', { ...holder, instance: undefined, startedOn: undefined }],
  ])('%s is read as it was written', (_, process) => {
    const text = textOf(process);
    const { instance, ...others } = processOf(text) ?? {};
    expect({ ...others, instance: instance && { ...instance } }).toEqual(process);
    expect(text).toMatch(/^[\x21-\x7e]+$/);
  });

  it.each([
    ['nothing', ''],
    ['no pod', 'container=app;boot=x;start=1'],
    ['no container', `podUid=${POD_UID};boot=x;start=1`],
    ['an empty pod', 'podUid=;container=app'],
    ['something else', 'hello'],
  ])('%s is no process', (_, text) => {
    expect(processOf(text)).toBeUndefined();
  });

  it.each([
    ['a start that is no number', 'boot=x;start=soon'],
    ['a negative start', 'boot=x;start=-1'],
    ['a start that is too large to be exact', 'boot=x;start=12345678901234567890'],
    ['no start', 'boot=x;later=1'],
    ['no boot', 'start=1'],
    ['a sign of life without a name', 'network=4026531840'],
    ['a sign of life without a network', 'name=nestjs-leader/0a1b'],
  ])('%s: that part is unknown', (_, part) => {
    expect(processOf(`podUid=${POD_UID};container=app;${part}`)).toEqual({
      podUid: POD_UID,
      container: 'app',
    });
  });
});

describe('an earlier instance of the same container', () => {
  const own = withInstance({ start: 5_001, terminationLog: '5e6f7a8b' });

  it('is dead', () => {
    expect(isEarlierInstance(holder, own)).toBe(true);
  });

  it('is dead, too, where no termination log is mounted', () => {
    const [its, ours] = [holder, own].map(({ instance, ...process }) => ({
      ...process,
      instance: instance && { ...instance, terminationLog: undefined },
    })) as [HolderProcess, HolderProcess];
    expect(isEarlierInstance(its, ours)).toBe(true);
  });

  it('is dead as its text says', () => {
    expect(isEarlierInstance(processOf(textOf(holder)) ?? own, own)).toBe(true);
  });

  it.each<[string, HolderProcess, HolderProcess?]>([
    ['the same instance: another process of this container, or process namespaces are shared', own],
    [
      'the same first process, without termination logs',
      withInstance({ terminationLog: undefined }),
      withInstance({ terminationLog: undefined }),
    ],
    ['a later instance', withInstance({ start: 5_002 })],
    ['another pod', { ...holder, podUid: 'another' }],
    ['another container of the pod', { ...holder, container: 'worker' }],
    ['another boot, perhaps of another machine', withInstance({ boot: 'another' })],
    ['another boot, with a later start', withInstance({ boot: 'another', start: 9_000 })],
    ['its instance unknown', { ...holder, instance: undefined }],
    ['our instance unknown', holder, { ...own, instance: undefined }],
    ['both instances unknown', { ...holder, instance: undefined }, { ...own, instance: undefined }],
    [
      'the same termination log: a PID namespace of its own in this container',
      withInstance({ terminationLog: '5e6f7a8b' }),
    ],
    ['its termination log unknown', withInstance({ terminationLog: undefined })],
    ['our termination log unknown', holder, withInstance({ start: 5_001, terminationLog: undefined })],
  ])('proves nothing: %s', (_, its, ours = own) => {
    expect(isEarlierInstance(its, ours)).toBe(false);
  });
});

// The status of a pod

type Fields = Readonly<Record<string, unknown>>;

/** As the kubelet writes it for a container that was killed. */
const terminated = {
  containerID: ID,
  exitCode: 137,
  reason: 'OOMKilled',
  startedAt: '2026-01-01T00:10:00Z',
  finishedAt: '2026-01-01T00:20:00Z',
};
const running = { running: { startedAt: '2026-01-01T00:20:10Z' } };

/** The status of the container `app`. */
function app(fields: Fields): Fields {
  return { name: 'app', ready: false, restartCount: 1, image: 'billing:1', imageID: '', ...fields };
}

function pod(
  containerStatuses: readonly Fields[],
  changes: { metadata?: Fields; status?: Fields } = {},
): PodSeen {
  return {
    metadata: { uid: POD_UID, ...changes.metadata },
    spec: { containers: [{ name: 'app' }] },
    status: { phase: 'Running', containerStatuses, ...changes.status },
  };
}

/** The pod in whose status the container has ended with `changes`. */
function endedWith(changes: Fields): PodSeen {
  return pod([app({ containerID: ID, state: { terminated: { ...terminated, ...changes } } })]);
}

/** A failed pod whose only container has ended with `changes`, by another id than that of the holder. */
function failedWith(changes: Fields): PodSeen {
  return pod([app({ state: { terminated: { ...terminated, containerID: OTHER_ID, ...changes } } })], {
    status: { phase: 'Failed' },
  });
}

/** `seen` with one more container in a list of the spec, and with its status, if it has one. */
function withAnother(seen: PodSeen, status?: Fields, list = 'container'): PodSeen {
  const add = (fields: PodSeen['spec'], name: string, item: Fields): Fields => ({
    ...fields,
    [name]: [...((fields?.[name] ?? []) as Fields[]), { name: 'another', ...item }],
  });
  return {
    ...seen,
    spec: add(seen.spec, `${list}s`, {}),
    ...(status && { status: add(seen.status, `${list}Statuses`, status) }),
  };
}

const without = (field: string): Fields => ({ [field]: undefined });

describe('the status of the pod', () => {
  it.each<[string, PodSeen]>([
    ['the container has terminated', endedWith({})],
    [
      'it has terminated, and the next instance runs',
      pod([app({ containerID: OTHER_ID, state: running, lastState: { terminated } })]),
    ],
    [
      'it has terminated, and the next instance waits',
      pod([
        app({
          containerID: ID,
          state: { waiting: { reason: 'CrashLoopBackOff' } },
          lastState: { terminated },
        }),
      ]),
    ],
    ['it has terminated by itself', endedWith({ exitCode: 1, reason: 'Error' })],
    ['it has ended with the exit code 0', endedWith({ exitCode: 0, reason: 'Completed' })],
    [
      'the container is a sidecar',
      pod([], { status: { initContainerStatuses: [app({ state: { terminated } })] } }),
    ],
    [
      'the pod is being deleted',
      pod([app({ state: { terminated } })], { metadata: { deletionTimestamp: '2026-01-01T00:20:00Z' } }),
    ],
  ])('proves it: %s', (_, seen) => {
    expect(isReportedDead(holder, seen)).toBe(true);
  });

  it.each(['Failed', 'Succeeded'])('proves it: the pod is %s, with every container terminated', (phase) => {
    const seen = pod([app({ state: { terminated: { ...terminated, containerID: OTHER_ID } } })], {
      status: { phase },
    });
    expect(isReportedDead({ ...holder, containerId: undefined }, seen)).toBe(true);
  });

  it.each(['container', 'initContainer', 'ephemeralContainer'])(
    'proves it only when every container has terminated, also another %s',
    (list) => {
      const seen = (status?: Fields): boolean =>
        isReportedDead(holder, withAnother(failedWith({}), status, list));
      expect(seen({ state: { terminated } })).toBe(true);
      expect(seen({ state: running })).toBe(false);
      expect(seen()).toBe(false);
    },
  );

  it.each<[string, PodSeen]>([
    ['no pod at all', {}],
    ['no status', { metadata: { uid: POD_UID }, status: null }],
    ['a status of something else', { metadata: { uid: POD_UID }, status: { containerStatuses: 'none' } }],
    ['another uid: a pod created again under that name', { ...endedWith({}), metadata: { uid: 'another' } }],
    ['no uid', { ...endedWith({}), metadata: {} }],
    ['the id of another container', endedWith({ containerID: OTHER_ID })],
    ['no id of a container', endedWith(without('containerID'))],
    ['an empty id', endedWith({ containerID: '' })],
    ['another container of the pod', pod([{ ...app({ state: { terminated } }), name: 'worker' }])],
    ['exit code 255 with the reason Unknown', endedWith({ exitCode: 255, reason: 'Unknown' })],
    ['exit code 255 with the reason Error, as CRI-O guesses', endedWith({ exitCode: 255, reason: 'Error' })],
    ['a start that failed, although the process may run', endedWith({ exitCode: 128, reason: 'StartError' })],
    ['a provider that has not found the pod', endedWith({ exitCode: -137, reason: 'NotFound' })],
    ['a negative exit code', endedWith({ exitCode: -1, reason: 'Error' })],
    ['no exit code', endedWith(without('exitCode'))],
    ['an exit code that is text', endedWith({ exitCode: '137' })],
    ['no reason', endedWith(without('reason'))],
    ['the reason ContainerStatusUnknown', endedWith({ exitCode: 137, reason: 'ContainerStatusUnknown' })],
    ['no time of the end', endedWith(without('finishedAt'))],
    ['a time of the end that is no text', endedWith({ finishedAt: 2030 })],
    ['an end at the zero time', endedWith({ finishedAt: '0001-01-01T00:00:00Z' })],
    ['an end at the beginning of 1970', endedWith({ finishedAt: '1970-01-01T00:00:00Z' })],
    ['an end before the start of the holder', endedWith({ finishedAt: '2026-01-01T00:09:59Z' })],
    ['an end in the second of the start of the holder', endedWith({ finishedAt: '2026-01-01T00:10:00Z' })],
    ['a state that is null', pod([app({ containerID: ID, state: null })])],
    ['a running container', pod([app({ containerID: ID, state: running })])],
    ['a waiting container', pod([app({ state: { waiting: { reason: 'CrashLoopBackOff' } } })])],
    [
      'a pod that is being deleted',
      pod([app({ containerID: ID, state: running })], {
        metadata: { deletionTimestamp: '2026-01-01T00:20:00Z' },
      }),
    ],
    [
      'a node that does not answer',
      pod([app({ containerID: ID, state: running })], {
        status: {
          reason: 'NodeLost',
          conditions: [
            { type: 'Ready', status: 'False', reason: 'NodeNotReady' },
            { type: 'DisruptionTarget', status: 'True', reason: 'DeletionByTaintManager' },
          ],
        },
      }),
    ],
  ])('proves nothing: %s', (_, seen) => {
    expect(isReportedDead(holder, seen)).toBe(false);
  });

  it.each(['shareProcessNamespace', 'hostPID'])(
    'proves nothing if the first process is not that of the container: %s',
    (field) => {
      const shared = (seen: PodSeen): PodSeen => ({ ...seen, spec: { ...seen.spec, [field]: true } });
      expect(isReportedDead(holder, shared(endedWith({})))).toBe(false);
      expect(ownContainerId(holder, shared(pod([app({ containerID: ID, state: running })])))).toBeUndefined();
      expect(ownContainerId(holder, pod([app({ containerID: ID, state: running })]))).toBe(ID);
    },
  );

  it.each<[string, PodSeen]>([
    ['with no status of a container', pod([], { status: { phase: 'Failed', reason: 'Evicted' } })],
    [
      'while a container runs',
      pod([app({ containerID: ID, state: running })], { status: { phase: 'Failed' } }),
    ],
    [
      'with an end of another container at the beginning of 1970',
      withAnother(failedWith({}), {
        state: { terminated: { ...terminated, finishedAt: '1970-01-01T00:00:00Z' } },
      }),
    ],
    [
      'with the status of another container only',
      withAnother(
        { ...failedWith({}), status: { phase: 'Failed' } },
        { state: { terminated: { ...terminated, containerID: OTHER_ID } } },
      ),
    ],
    [
      'with a container that has only terminated before',
      pod(
        [
          app({
            state: { waiting: {} },
            lastState: { terminated: { ...terminated, containerID: OTHER_ID } },
          }),
        ],
        {
          status: { phase: 'Failed' },
        },
      ),
    ],
    [
      'with a guess',
      pod([app({ state: { terminated: { ...terminated, reason: 'ContainerStatusUnknown' } } })], {
        status: { phase: 'Failed' },
      }),
    ],
    [
      'with no time of an end',
      pod([app({ state: { terminated: { ...terminated, finishedAt: null } } })], {
        status: { phase: 'Failed' },
      }),
    ],
    ['with no id of a container', failedWith(without('containerID'))],
    ['with an end at the zero time', failedWith({ finishedAt: '0001-01-01T00:00:00Z' })],
    ['with an end before the start of the holder', failedWith({ finishedAt: '2026-01-01T00:09:59Z' })],
    [
      'with an end in the second of the start of the holder',
      failedWith({ finishedAt: '2026-01-01T00:10:00Z' }),
    ],
    [
      'with the instance before, whose end looks later because the clock was set back',
      failedWith({ startedAt: '2026-01-01T00:09:59Z', finishedAt: '2026-01-01T00:10:30Z' }),
    ],
    ['with no time of the start', failedWith(without('startedAt'))],
    [
      'without the container of the holder',
      {
        ...failedWith({}),
        spec: { containers: [{ name: 'worker' }] },
        status: {
          phase: 'Failed',
          containerStatuses: [
            { ...app({ state: { terminated: { ...terminated, containerID: OTHER_ID } } }), name: 'worker' },
          ],
        },
      },
    ],
    ['without a spec', { ...failedWith({}), spec: null }],
  ])('proves nothing: a failed pod %s', (_, seen) => {
    expect(isReportedDead(holder, seen)).toBe(false);
  });

  it.each<[string, Partial<HolderProcess>]>([
    ['id', { containerId: undefined }],
    ['start', { startedOn: undefined }],
  ])('proves nothing about a holder whose %s is unknown', (_, unknown) => {
    expect(isReportedDead({ ...holder, ...unknown }, endedWith({}))).toBe(false);
    expect(isReportedDead({ ...holder, ...unknown }, endedWith(without('containerID')))).toBe(false);
  });

  it('proves nothing by its phase about a holder whose start is unknown', () => {
    expect(isReportedDead({ ...holder, startedOn: undefined }, failedWith({}))).toBe(false);
  });
});

describe('the id of the own container', () => {
  const own = { ...holder, containerId: undefined };
  const runs = (startedAt: unknown, changes: Fields = {}): PodSeen =>
    pod([app({ containerID: ID, state: { running: { startedAt } }, ...changes })]);

  it.each(['2026-01-01T00:10:00Z', '2026-01-01T00:10:07Z'])(
    'is that of the instance that started at %s',
    (startedAt) => {
      expect(ownContainerId(own, runs(startedAt))).toBe(ID);
    },
  );

  it.each<[string, PodSeen, HolderProcess?]>([
    ['the status still shows the instance before', runs('2026-01-01T00:09:59Z')],
    ['it shows no start', runs(undefined)],
    ['the container does not run', endedWith({})],
    ['there is no pod', {}],
    ['the pod is another', { ...runs('2026-01-01T00:10:07Z'), metadata: { uid: 'another' } }],
    ['the container is another', runs('2026-01-01T00:10:07Z', { name: 'worker' })],
    ['the status has no id', runs('2026-01-01T00:10:07Z', without('containerID'))],
    ['the id is none', runs('2026-01-01T00:10:07Z', { containerID: 'a;b' })],
    ['the id is no text', runs('2026-01-01T00:10:07Z', { containerID: [ID] })],
    ['the own start is unknown', runs('2026-01-01T00:10:07Z'), { ...own, startedOn: undefined }],
  ])('is unknown: %s', (_, seen, process = own) => {
    expect(ownContainerId(process, seen)).toBeUndefined();
  });
});
