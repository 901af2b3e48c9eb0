/** What every measurement finds: a real API server with a namespace, and the credentials for it. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { scratchFolder } from '../test/rig/guard.js';
import { RealApiServer } from '../test/rig/real-api-server.js';

/** Of one user, both ways to give them. */
export interface Credentials {
  readonly user: string;
  readonly kubeconfig: string;
  readonly tokenFile: string;
}

export interface Surroundings {
  readonly server: RealApiServer;
  readonly namespace: string;
  /** Two users, so that the audit log tells a leader from its follower. */
  readonly credentials: readonly [Credentials, Credentials];
}

const NAMESPACE = 'bench';
const USERS = ['even', 'odd'] as const;

/** Starts an API server for a measurement, with its audit log if that is asked for. */
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
    const folder = await scratchFolder('credentials');
    const credentialsOf = async (user: string): Promise<Credentials> => {
      const tokenFile = join(folder, user);
      await writeFile(tokenFile, `${user}-token`);
      return { user, tokenFile, kubeconfig: await server.writeKubeconfig({ user, namespace: NAMESPACE }) };
    };
    const [even, odd] = USERS;
    const credentials = [await credentialsOf(even), await credentialsOf(odd)] as const;
    return await measure({ server, namespace: NAMESPACE, credentials });
  } finally {
    await server.stop();
  }
}
