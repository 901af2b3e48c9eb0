import { readFile, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { onAbort } from '../election/internal.js';
import { CommandError, EXIT, type ExitCode, type Terminal } from './terminal.js';

/** The options of {@link serve}. */
export interface ServeFlags {
  readonly kubeconfig: string;
  readonly port: number;
  readonly namespace?: string;
}

/** By this context a kubeconfig of an earlier run is recognised. */
const CONTEXT = 'lease-api-server';

/** Runs the embedded Lease API server, with a kubeconfig for it, until SIGINT or SIGTERM. */
export async function serve(terminal: Terminal, flags: ServeFlags): Promise<ExitCode> {
  const path = resolve(flags.kubeconfig);
  await refuseToOverwrite(path);
  // Loaded only here: the other commands need no server.
  const { LeaseApiServer } = await import('../testing/index.js');
  const server = await LeaseApiServer.start({ port: flags.port });
  try {
    // The mode counts only for a new file.
    await rm(path, { force: true });
    await server.writeKubeconfig(path, { namespace: flags.namespace });
    const shown = JSON.stringify(flags.kubeconfig);
    terminal.write(
      [
        `A Lease API server listens on ${server.url}, for programs on this machine. Its Leases are in memory only.`,
        `Its kubeconfig is ${path}.`,
        '',
        `  KUBECONFIG=${shown} PORT=3000 npm start          # your application; another replica in another terminal, with PORT=3001`,
        `  KUBECONFIG=${shown} npx nestjs-leader watch      # who leads (a kubeconfig needs @kubernetes/client-node)`,
        `  KUBECONFIG=${shown} kubectl get leases --watch`,
        '',
        'Ctrl+C stops it, and removes the kubeconfig.',
        '',
      ].join('\n'),
    );
    await new Promise<void>((done) => {
      onAbort(terminal.signal, done);
    });
  } finally {
    await server.stop();
    await rm(path, { force: true });
  }
  return EXIT.ok;
}

/** @throws CommandError if the file exists and no earlier `serve` wrote it: it may be the user's own kubeconfig. */
async function refuseToOverwrite(path: string): Promise<void> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CommandError(
      `The file of --kubeconfig cannot be used (${String((error as NodeJS.ErrnoException).code)}): ${path}`,
    );
  });
  if (text === undefined || isOurs(text)) return;
  throw new CommandError(
    `${path} exists, and is not a kubeconfig of an earlier serve. It is left as it is: name another file with --kubeconfig.`,
    EXIT.error,
  );
}

function isOurs(text: string): boolean {
  try {
    return (JSON.parse(text) as { 'current-context'?: unknown })['current-context'] === CONTEXT;
  } catch {
    return false;
  }
}
