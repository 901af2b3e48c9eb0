/**
 * A process that polls like client-go's leaderelection, to compare hand-over times with. It follows the steps of that package: it
 * reads the Lease every RetryPeriod with jitter, takes it over when it has seen it unchanged for the duration in it, renews every
 * RetryPeriod, and gives up when renewals have failed for RenewDeadline. At SIGTERM it releases its lease. Only its requests are made
 * by nestjs-leader. It reports to the demo like a replica of the sample application.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { LeaseRecord, LeaseSnapshot } from 'nestjs-leader/election';
import { KubernetesConnection, KubernetesLeaseLock } from 'nestjs-leader/kubernetes';
import type { ReplicaMessage, ReplicaOrder } from '../replica-report.js';
import { machineNow } from './machine-clock.js';

const JITTER_FACTOR = 1.2;
const JOB_EVERY_MS = 1_000;

const {
  IDENTITY: identity = '',
  LEASE_NAME: name = '',
  LEASE_NAMESPACE: namespace = 'default',
} = process.env;
const leaseDuration = Number(process.env['LEASE_DURATION']);
const renewDeadline = Number(process.env['RENEW_DEADLINE']);
const retryPeriod = Number(process.env['RETRY_PERIOD']);

const stopped = new AbortController();
const connection = new KubernetesConnection();
const lock = new KubernetesLeaseLock(connection, { name, namespace, labels: {} });
let observed: LeaseSnapshot | undefined;
let observedAt = 0;

function tell(message: ReplicaMessage): void {
  if (process.connected) process.send?.(message);
}

function isMine(): boolean {
  return observed?.record.holderIdentity === identity;
}

/** Whether the lease of the record that was observed has not run out. */
function isHeld(): boolean {
  const holder = observed?.record.holderIdentity ?? '';
  return holder !== '' && machineNow() < observedAt + (observed?.record.leaseDurationSeconds ?? 0) * 1_000;
}

function observe(seen: LeaseSnapshot): void {
  if (JSON.stringify(seen.record) !== JSON.stringify(observed?.record)) observedAt = machineNow();
  observed = seen;
}

/** One attempt to get or to renew the lease. Whatever goes wrong, the next attempt comes after a RetryPeriod. */
async function tryAcquireOrRenew(): Promise<boolean> {
  // A leader that is in time writes without reading. If that fails, it reads.
  if (isMine() && isHeld() && (await write(observed))) return true;
  try {
    const found = await lock.get(call());
    if (found !== undefined) observe(found);
    return found === undefined || isMine() || !isHeld() ? await write(found) : false;
  } catch {
    return false;
  }
}

/** client-go's clients give up a request for a lease after half the RenewDeadline. */
function call(): { signal: AbortSignal; newConnection: boolean } {
  return { signal: AbortSignal.timeout(renewDeadline / 2), newConnection: false };
}

/** Writes a record, by default that of a holder, on top of `base`. Returns whether it is known to be stored. */
async function write(base: LeaseSnapshot | undefined, next = record(base)): Promise<boolean> {
  try {
    const outcome =
      base === undefined ? await lock.create(next, call()) : await lock.update(base, next, call());
    if (outcome.kind === 'conflict') return false;
    observe(outcome.snapshot);
    return true;
  } catch {
    return false;
  }
}

function record(base: LeaseSnapshot | undefined): LeaseRecord {
  const before = base?.record;
  const keeps = before?.holderIdentity === identity;
  return {
    holderIdentity: identity,
    leaseDurationSeconds: leaseDuration / 1_000,
    acquireTime: keeps ? before.acquireTime : microTime(),
    renewTime: microTime(),
    leaseTransitions: before === undefined ? 0 : (before.leaseTransitions ?? 0) + (keeps ? 0 : 1),
  };
}

function microTime(): LeaseRecord['renewTime'] {
  return new Date().toISOString().replace('Z', '000Z') as LeaseRecord['renewTime'];
}

async function wait(ms: number): Promise<void> {
  await pause(ms, undefined, { signal: stopped.signal }).catch(() => undefined);
}

/** Leads until renewals have failed for RenewDeadline, or the process is told to stop. */
async function lead(): Promise<void> {
  const token = observed?.resourceVersion ?? '';
  const from = machineNow();
  let renewedAt = from;
  const claim = (): void => {
    tell({ type: 'claim', token, from, until: renewedAt + renewDeadline });
  };
  claim();
  const jobs = setInterval(() => {
    tell({ type: 'job', cause: 'timer', token, at: machineNow() });
  }, JOB_EVERY_MS);
  while (!isStopped()) {
    await wait(retryPeriod);
    if (isStopped()) break;
    if (await tryAcquireOrRenew()) renewedAt = machineNow();
    else if (machineNow() - renewedAt >= renewDeadline) break;
    claim();
  }
  clearInterval(jobs);
  const reason = isStopped() ? 'stopped' : 'deadline';
  tell({ type: 'claimEnded', token, at: machineNow(), reason });
  if (!isStopped() || observed === undefined || !isMine()) return;
  const times = { acquireTime: microTime(), renewTime: microTime() };
  await write(observed, { ...observed.record, ...times, holderIdentity: '', leaseDurationSeconds: 1 });
}

function isStopped(): boolean {
  return stopped.signal.aborted;
}

function stop(): void {
  stopped.abort();
}

process.once('SIGTERM', stop);
process.once('disconnect', stop);
process.on('message', (order: ReplicaOrder) => {
  throw new Error(`The demo ordered: ${order}.`);
});
tell({ type: 'ready', at: machineNow() });
while (!isStopped()) {
  if (await tryAcquireOrRenew()) await lead();
  await wait(retryPeriod * (1 + Math.random() * JITTER_FACTOR));
}
connection.close();
process.disconnect();
