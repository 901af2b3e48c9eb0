import { readFile, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { onAbort } from '../election/internal.js';
import { KubernetesConnection, LeaseObserver } from '../kubernetes/internal.js';
import { quoted } from './completion.js';
import { CommandError, EXIT, type ExitCode, type Terminal } from './terminal.js';

/** The options of {@link serve}. */
export interface ServeFlags {
  readonly kubeconfig: string;
  readonly port: number;
  readonly namespace?: string;
}

/** By this context a kubeconfig of an earlier run is recognised. */
const CONTEXT = 'lease-api-server';

/** How long a server on this machine may take to answer. */
const ANSWER_MS = 2_000;

/** Runs the embedded Lease API server, with a kubeconfig for it, until SIGINT or SIGTERM. */
export async function serve(terminal: Terminal, flags: ServeFlags): Promise<ExitCode> {
  const path = resolve(flags.kubeconfig);
  await refuseToOverwrite(path);
  // Loaded only here: the other commands need no server.
  const { LeaseApiServer } = await import('../testing/index.js');
  const server = await LeaseApiServer.start({ port: flags.port });
  let written: string | undefined;
  try {
    // The mode counts only for a new file.
    await rm(path, { force: true });
    await server.writeKubeconfig(path, { namespace: flags.namespace });
    written = await readFile(path, 'utf8');
    const shown = quoted(flags.kubeconfig);
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
    // Another process may have written it meanwhile.
    const now = await readFile(path, 'utf8').catch(() => undefined);
    if (now === written) await rm(path, { force: true });
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
  if (text === undefined) return;
  const server = serverIn(text);
  if (server !== undefined) {
    if (!(await isServing(server))) return;
    throw new CommandError(
      `${path} is the kubeconfig of a serve that runs (${server}). Use that one, end it, or name another file with --kubeconfig.`,
    );
  }
  throw new CommandError(
    `${path} exists, and is not a kubeconfig of an earlier serve. It is left as it is: name another file with --kubeconfig.`,
    EXIT.error,
  );
}

/** The address in a kubeconfig that a `serve` wrote. */
function serverIn(text: string): string | undefined {
  try {
    const { 'current-context': context, clusters } = JSON.parse(text) as {
      'current-context'?: unknown;
      clusters?: { cluster?: { server?: unknown } }[];
    };
    const server = clusters?.[0]?.cluster?.server;
    return context === CONTEXT && typeof server === 'string' ? server : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a server of Leases answers there: the port may be another program's by now. */
async function isServing(server: string): Promise<boolean> {
  const connection = new KubernetesConnection({ server });
  const observer = new LeaseObserver(connection, { namespace: 'default' }, ANSWER_MS);
  try {
    await observer.read(new AbortController().signal);
    return true;
  } catch {
    return false;
  } finally {
    connection.close();
  }
}
