import { AsyncResource } from 'node:async_hooks';

/** Calls a function in an async context that was captured before. */
export type Enter = <T>(work: () => T) => T;

/**
 * Captures the async context of whoever calls: what `AsyncLocalStorage` answers there, `currentTerm()` among it.
 *
 * An election lives in the context of its `run()`. Whatever a user's code brings about from another one (a request that
 * steps down, work that finds its term over) is entered through this, or terms, hooks and renewals would go on in that
 * request for ever.
 */
export function captureContext(): Enter {
  const resource = new AsyncResource('nestjs-leader.election');
  return (work) => resource.runInAsyncScope(work);
}
