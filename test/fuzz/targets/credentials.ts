/** Tokens, certificates, and what a credential plugin prints. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CredentialPlugin } from '../../../lib/kubernetes/credential-plugin.js';
import { DirectAccess } from '../../../lib/kubernetes/direct-access.js';
import { KubernetesConnection, KubernetesLeaseLock } from '../../../lib/kubernetes/index.js';
import { connectTls } from '../../../lib/kubernetes/tls-connection.js';
import { HandClock } from '../../kubernetes/hand-clock.js';
import { address, call } from '../../kubernetes/lease-fixtures.js';
import { ScriptedServer, answer } from '../../kubernetes/scripted-server.js';
import { selfSigned } from '../../testing/lease-api-server/self-signed.js';
import type { Target } from '../fuzzing.js';
import { checkTransportError, keepsPromises, outcomeOf } from '../promises.js';

const folder = mkdtempSync(join(tmpdir(), 'nestjs-leader-fuzz-credentials-'));
let server: Promise<ScriptedServer> | undefined;

/** A server for whichever certificate is trusted: it answers everybody. */
function started(): Promise<ScriptedServer> {
  const refuse = (_request: unknown, response: Parameters<typeof answer>[0]): void => {
    answer(response, 403, { kind: 'Status', reason: 'Forbidden', message: 'no' });
  };
  server ??= ScriptedServer.start(refuse, selfSigned('127.0.0.1'));
  return server;
}

export const credentials: Target = {
  name: 'credentials',
  runsPerSecond: 60,
  async run(input) {
    const text = input.toString('utf8');
    const { url, port } = await started();
    await useAsOptions(text, url);
    await useAsPodFiles(input, port);
    for (const part of ['ca', 'cert', 'key', 'pfx']) {
      const route = { tls: { rejectUnauthorized: true, [part]: text }, proxied: undefined };
      const outcome = await outcomeOf(() => connectTls(new URL(url), route, call().signal));
      if ('error' in outcome) checkTransportError(outcome.error);
      else outcome.value.destroy();
    }
    const printed = join(folder, 'printed');
    writeFileSync(printed, input);
    const plugin = new CredentialPlugin({ command: 'cat', args: [printed] });
    await keepsPromises(() => plugin.applyAuthentication({}, {}));
  },
  async close() {
    await (await server)?.stop();
    server = undefined;
    rmSync(folder, { recursive: true });
  },
};

/** As the options of a connection: refused at once, or used for a request. */
async function useAsOptions(text: string, server: string): Promise<void> {
  for (const parts of [{ token: text }, { certificateAuthority: text }, { server: text }]) {
    // Nothing is sent to an address of an input.
    const connection = await keepsPromises(() => new KubernetesConnection({ server, ...parts }));
    if (connection === undefined || 'server' in parts) continue;
    await keepsPromises(() => new KubernetesLeaseLock(connection, address).get(call()));
    connection.close();
  }
}

/** As the files of a pod's service account, first and when they are replaced. */
async function useAsPodFiles(input: Buffer, port: number): Promise<void> {
  const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(port) };
  for (const file of ['token', 'ca.crt']) {
    writeFileSync(join(folder, 'token'), 'a-token-of-this-pod');
    writeFileSync(join(folder, 'ca.crt'), (await certificate()).cert);
    const access = DirectAccess.ofPod(new HandClock(), folder, env);
    await keepsPromises(() => access.start());
    writeFileSync(join(folder, file), input);
    await access.look();
    await keepsPromises(() => DirectAccess.ofPod(new HandClock(), folder, env).start());
  }
}

let made: ReturnType<typeof selfSigned> | undefined;
function certificate(): Promise<ReturnType<typeof selfSigned>> {
  made ??= selfSigned('127.0.0.1');
  return Promise.resolve(made);
}
