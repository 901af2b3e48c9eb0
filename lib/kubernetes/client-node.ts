import type * as ClientNode from '@kubernetes/client-node';
import { LeaseRequestError } from '../election/index.js';

let importing: Promise<typeof ClientNode> | undefined;

/**
 * Loads `@kubernetes/client-node`, once in the life of a process, because the import takes about 300 ms. It is not tried again
 * after a failure: on a Node that is too old for it, a second attempt ends the process.
 *
 * @throws LeaseRequestError `LEADER_CLIENT_UNUSABLE`
 */
export function importClientNode(): Promise<typeof ClientNode> {
  importing ??= import('@kubernetes/client-node').catch((cause: unknown) => {
    throw unusable(cause);
  });
  return importing;
}

function unusable(cause: unknown): LeaseRequestError {
  const what = cause instanceof Error ? cause.message.split('\n')[0] : typeof cause;
  return new LeaseRequestError(
    'LEADER_CLIENT_UNUSABLE',
    `@kubernetes/client-node, which reads kubeconfigs and credentials, cannot be loaded by Node ${process.version} ` +
      `(${String(what)}). Install a version that fits (npm i @kubernetes/client-node; on Node 20: ` +
      `@kubernetes/client-node@1) and start again. Jest without --experimental-vm-modules cannot load it: give ` +
      `kubernetes: { server, token } there, which needs none of it.`,
    { maybeCommitted: false, cause },
  );
}
