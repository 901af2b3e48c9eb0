/** Answers of an API server, as a transport returns them: Leases, Statuses, lists, candidates, reviews, and their headers. */
import { fieldsOf, type LeaseSnapshot } from '../../../lib/election/internal.js';
import { LeaseCandidates, findCandidatesApi } from '../../../lib/kubernetes/coordinated/lease-candidates.js';
import { isGranted } from '../../../lib/kubernetes/preflight.js';
import { KubernetesLeaseLock, type KubernetesConnection } from '../../../lib/kubernetes/index.js';
import { LeaseObserver } from '../../../lib/kubernetes/lease-observer.js';
import { PodLabels } from '../../../lib/kubernetes/pod-labels.js';
import { LEASES } from '../../../lib/kubernetes/resources.js';
import { SideRequests } from '../../../lib/kubernetes/side-requests.js';
import { HandClock } from '../../kubernetes/hand-clock.js';
import { address, call, leaseOf, record } from '../../kubernetes/lease-fixtures.js';
import { HandConnection } from '../../security/hand-connection.js';
import type { Target } from '../fuzzing.js';
import { checkError, checkPrototypes, keepsPromises } from '../promises.js';
import { answerIn } from './answer-text.js';

const base = { record, uid: 'u1', resourceVersion: '7', carried: leaseOf() };
const candidateSpec = {
  binaryVersion: '1.0.0',
  emulationVersion: '1.0.0',
  strategy: 'OldestEmulationVersion',
};

export const answers: Target = {
  name: 'answers',
  runsPerSecond: 400,
  async run(input) {
    const answer = answerIn(input);
    const connection = new HandConnection(() => answer);
    const asConnection = connection as unknown as KubernetesConnection;
    const lock = new KubernetesLeaseLock(connection, address, 1_000);
    const seen = await keepsPromises(() => lock.get(call()));
    if (seen !== undefined) await checkKept(seen, answer.text);
    await keepsPromises(() => lock.create(record, call()));
    await keepsPromises(() => lock.update(base, record, call()));
    for (const name of [undefined, address.name]) await keepsPromises(() => observe(answer, name));
    await keepsPromises(() => findCandidatesApi(asConnection, address, call()));
    const candidates = new LeaseCandidates(asConnection, 'v1beta1', address.name, address);
    const candidate = await keepsPromises(() => candidates.get(call()));
    await keepsPromises(() => candidates.put(candidateSpec, Date.UTC(2026, 0, 1), candidate, call()));
    await keepsPromises(() => candidates.delete(call()));
    const requests = new SideRequests(asConnection, 1_000, new HandClock());
    await keepsPromises(() =>
      isGranted(requests, { resource: LEASES, verb: 'get', namespace: 'ours', name: 'billing' }),
    );
    await labelPod(asConnection);
    checkPrototypes();
  },
};

/** Reads a list with one answer for its first page, and the last of another for the second. */
async function observe(answer: ReturnType<typeof answerIn>, name: string | undefined): Promise<void> {
  let pages = 0;
  const last = { status: 200, headers: {}, text: '{"metadata":{"resourceVersion":"1"},"items":[]}' };
  const connection = new HandConnection(() => (pages++ === 0 ? answer : last));
  const observer = new LeaseObserver(connection, { namespace: 'ours', name }, 1_000, new HandClock());
  await observer.read(call().signal);
}

/** What a lock takes for a Lease is one, and a write on it keeps what others wrote. */
async function checkKept(seen: LeaseSnapshot, text: string): Promise<void> {
  const { holderIdentity, leaseDurationSeconds, leaseTransitions, note } = seen.record;
  const counts = [leaseDurationSeconds, leaseTransitions].filter((count) => count !== undefined);
  if (typeof holderIdentity !== 'string' || !counts.every((count) => Number.isInteger(count) && count >= 0))
    throw new Error(`A Lease was taken whose record is ${JSON.stringify(seen.record)}.`);
  if (note?.priority !== undefined && !Number.isFinite(note.priority))
    throw new Error(`A holder has the priority ${String(note.priority)}.`);
  if (seen.ageMs !== undefined && !(seen.ageMs > 0))
    throw new Error(`A Lease has the age ${String(seen.ageMs)}.`);
  const connection = new HandConnection(() => ({ status: 409, headers: {}, text: '' }));
  const lock = new KubernetesLeaseLock(connection, address);
  await keepsPromises(() => lock.update(seen, record, call()));
  const sent = connection.requests[0]?.body;
  if (sent === undefined) throw new Error('A Lease was taken that cannot be written back.');
  const [before, after] = [JSON.parse(text) as unknown, JSON.parse(JSON.stringify(sent)) as unknown];
  const ofBefore = partsOf(before);
  const ofAfter = partsOf(after);
  for (const [path, value] of ofBefore)
    if (JSON.stringify(ofAfter.get(path)) !== JSON.stringify(value))
      throw new Error(`A write has changed ${path}.`);
}

/** What a write must keep: all metadata and spec of others. */
function partsOf(lease: unknown): Map<string, unknown> {
  const { metadata, spec } = fieldsOf(lease) ?? {};
  const { managedFields: _, labels, annotations, ...others } = fieldsOf(metadata) ?? {};
  const ours = ['nestjs-leader/wanted-by', 'nestjs-leader/process', 'nestjs-leader/holder'];
  const parts = [
    ...Object.entries(others).map(([name, value]) => [`metadata.${name}`, value]),
    ...Object.entries(fieldsOf(labels) ?? {}).map(([name, value]) => [`labels.${name}`, value]),
    ...Object.entries(fieldsOf(annotations) ?? {})
      .filter(([name]) => !ours.includes(name))
      .map(([name, value]) => [`annotations.${name}`, value]),
    ...Object.entries(fieldsOf(spec) ?? {})
      .filter(([name]) => !(name in record))
      .map(([name, value]) => [`spec.${name}`, value]),
  ] as [string, unknown][];
  return new Map(parts.filter(([, value]) => value !== null && value !== undefined));
}

/** The answers to the patch of a pod: each failure is reported as an error of the package. */
async function labelPod(connection: KubernetesConnection): Promise<void> {
  const clock = new HandClock();
  const labels = new PodLabels({
    connection,
    pod: { name: 'billing-1', namespace: 'ours' },
    labels: { leader: 'true' },
    retryPeriod: 2_000,
    clock,
  });
  const reported: unknown[] = [];
  const done = new AbortController();
  labels.start((error) => reported.push(error));
  const term = {} as Parameters<PodLabels['atStart']>[0];
  const started = labels.atStart(term, done.signal).catch((error: unknown) => reported.push(error));
  // Without an answer that it takes, it tries until it is given up.
  await new Promise((resolve) => setImmediate(resolve));
  done.abort();
  await started;
  labels.stop();
  for (const error of reported) if (error !== done.signal.reason) checkError(error);
}
