/** The environment of every measurement: a real API server with a namespace, and its credentials. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '../test/rig/guard.js';
import { RealApiServer } from '../test/rig/real-api-server.js';

/** The credentials of one user, in both forms. */
export interface Credentials {
  readonly user: string;
  readonly kubeconfig: string;
  readonly tokenFile: string;
}

export interface Surroundings {
  readonly server: RealApiServer;
  /** The address for contenders. */
  readonly url: string;
  readonly namespace: string;
  /** Two users, so that the audit log distinguishes a leader from its follower. */
  readonly credentials: readonly [Credentials, Credentials];
}

const NAMESPACE = 'bench';
const USERS = ['even', 'odd'] as const;

/** Starts an API server for a measurement, optionally with its audit log. */
export async function inSurroundings<T>(
  measure: (surroundings: Surroundings) => Promise<T>,
  { auditLog = false } = {},
): Promise<T> {
  const server = await RealApiServer.start({
    users: USERS.map((name) => ({ name, groups: ['system:masters'] })),
    ...(auditLog && { auditLog: 'batch' }),
  });
  try {
    await server.createNamespace(NAMESPACE);
    const { url } = server;
    return await measure({
      server,
      url,
      namespace: NAMESPACE,
      credentials: await credentialsFor(server, url),
    });
  } finally {
    await server.stop();
  }
}

/** The same environment with a proxy in front of the API server. */
export async function through(surroundings: Surroundings, url: string): Promise<Surroundings> {
  return { ...surroundings, url, credentials: await credentialsFor(surroundings.server, url) };
}

async function credentialsFor(server: RealApiServer, url: string): Promise<Surroundings['credentials']> {
  const folder = await scratchFolder('credentials');
  const credentialsOf = async (user: string): Promise<Credentials> => {
    const [tokenFile, kubeconfig] = [join(folder, `${user}.token`), join(folder, `${user}.kubeconfig`)];
    await writeFile(tokenFile, `${user}-token`);
    await writeFile(kubeconfig, server.kubeconfig({ user, namespace: NAMESPACE, server: url }));
    return { user, tokenFile, kubeconfig };
  };
  const [even, odd] = USERS;
  return [await credentialsOf(even), await credentialsOf(odd)];
}
