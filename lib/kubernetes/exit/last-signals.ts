import { isMainThread } from 'node:worker_threads';

const SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGHUP'];
/** The types of Node do not list the event `newListener` of a process. */
const emitter: NodeJS.EventEmitter = process;

let beforeTheEnd: (() => void) | undefined;

/**
 * Calls `act` when a signal ends this process, and lets it end by that signal. Until {@link ignoreSignals} is called, it listens
 * for SIGTERM, SIGINT and SIGHUP, each only where and as long as nobody else does: a listener decides for itself what a signal does, and
 * some end the process only if they are alone. The first process of a container is not ended by a signal without a
 * listener, so it does not listen there.
 */
export function heedSignals(act: () => void): void {
  // The signals of other threads' processes do not exist.
  if (!isMainThread || process.pid === 1) return;
  beforeTheEnd = act;
  for (const signal of SIGNALS) if (process.listenerCount(signal) === 0) process.on(signal, onSignal);
  // Before Node's own listener, which begins to receive the signal for the new one.
  emitter.prependListener('newListener', stepAside);
}

/** Signals have their own effects again. */
export function ignoreSignals(): void {
  emitter.off('newListener', stepAside);
  for (const signal of SIGNALS) process.off(signal, onSignal);
}

function onSignal(signal: NodeJS.Signals): void {
  beforeTheEnd?.();
  ignoreSignals();
  process.kill(process.pid, signal);
}

function stepAside(name: string | symbol, listener: unknown): void {
  const signal = SIGNALS.find((each) => each === name);
  if (signal !== undefined && listener !== onSignal) process.off(signal, onSignal);
}
