/**
 * What `begin` comes to, or a rejection with the reason of `signal` as soon as that fires, which ends the waiting and not what
 * is waited for. Nothing is begun when it has fired already.
 */
export async function untilAborted<T>(signal: AbortSignal | undefined, begin: () => Promise<T>): Promise<T> {
  signal?.throwIfAborted();
  if (signal === undefined) return begin();
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => {
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([begin(), aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
