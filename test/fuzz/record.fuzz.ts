/**
 * `npm run fuzz -- --record` writes the part of the corpus that a real API server answers: whole answers over HTTP/1.1, byte by
 * byte, the bytes of watches, and frames of HTTP/2. The rest of the corpus was written by hand.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import tls from 'node:tls';
import { it } from 'vitest';
import { RealApiServer } from '../rig/real-api-server.js';
import { ADMIN_TOKEN } from '../rig/users.js';
import { holder, killed, running, statusOf } from '../kubernetes/death/pod-fixtures.js';
import { frame } from './targets/http2-frames.js';

const LEASES = '/apis/coordination.k8s.io/v1/namespaces/ours/leases';
const PODS = '/api/v1/namespaces/ours/pods';
const now = '2026-01-01T00:00:00.000001Z';
const annotations = {
  'nestjs-leader/process': `${now} me podUid=u1;pod=shop/billing-1;container=app;boot=b1;start=4711`,
  'nestjs-leader/holder': `${now} me {"address":"10.0.0.1:3000","priority":2}`,
  'nestjs-leader/wanted-by': 'another',
};
const spec = {
  holderIdentity: 'me',
  leaseDurationSeconds: 15,
  acquireTime: now,
  renewTime: now,
  leaseTransitions: 1,
};
const lease = { metadata: { name: 'billing', annotations }, spec };
const candidates = '/apis/coordination.k8s.io/v1beta1/namespaces/ours/leasecandidates';
const candidate = {
  metadata: { name: 'billing' },
  spec: {
    ...{
      leaseName: 'billing',
      binaryVersion: '1.0.0',
      emulationVersion: '1.0.0',
      strategy: 'OldestEmulationVersion',
    },
    ...{ pingTime: now, renewTime: now },
  },
};

function keep(target: string, name: string, bytes: Buffer | string): void {
  const folder = join(import.meta.dirname, 'corpus', target);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, name), bytes);
}

/** Sends bytes over TLS, and resolves with what comes until the server closes the connection or `isWhole` says so. */
function said(
  server: RealApiServer,
  protocol: string,
  request: Buffer,
  isWhole = (_: Buffer) => false,
): Promise<Buffer> {
  const { hostname, port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      host: hostname,
      port: Number(port),
      ca: server.ca,
      ALPNProtocols: [protocol],
    });
    let all = Buffer.alloc(0);
    socket.once('secureConnect', () => socket.write(request));
    socket.on('data', (chunk: Buffer) => {
      all = Buffer.concat([all, chunk]);
      if (isWhole(all)) socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      resolve(all);
    });
  });
}

function requestText(
  method: string,
  path: string,
  body?: object,
  type = 'application/json',
  token = ADMIN_TOKEN,
): Buffer {
  const text = body === undefined ? '' : JSON.stringify(body);
  const content =
    text === '' ? '' : `content-type: ${type}\r\ncontent-length: ${String(Buffer.byteLength(text))}\r\n`;
  return Buffer.from(
    `${method} ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\naccept: application/json\r\nuser-agent: nestjs-leader\r\n` +
      `${content}connection: close\r\n\r\n${text}`,
  );
}

it('the answers of a real API server', async () => {
  const server = await RealApiServer.start({ users: ['nobody'] });
  try {
    await server.createNamespace('ours');
    const ask = (...parts: Parameters<typeof requestText>): Promise<Buffer> =>
      said(server, 'http/1.1', requestText(...parts));
    const answer = async (name: string, ...parts: Parameters<typeof requestText>): Promise<void> => {
      keep('answers', name, await ask(...parts));
    };
    await answer('lease-missing.http', 'GET', `${LEASES}/billing`);
    await answer('lease-created.http', 'PUT', `${LEASES}/billing`, lease);
    await answer('lease.http', 'GET', `${LEASES}/billing`);
    await answer('lease-conflict.http', 'PUT', `${LEASES}/billing`, {
      ...lease,
      metadata: { name: 'billing', resourceVersion: '1' },
    });
    await answer('lease-invalid.http', 'PUT', `${LEASES}/billing`, {
      ...lease,
      spec: { leaseDurationSeconds: -1 },
    });
    await answer('lease-not-read.http', 'PUT', `${LEASES}/billing`, { spec: { renewTime: 'soon' } });
    await answer('leases.http', 'GET', LEASES);
    await ask('POST', LEASES, { metadata: { name: 'shipping' }, spec });
    await answer('leases-first-page.http', 'GET', `${LEASES}?limit=1`);
    await answer('forbidden.http', 'GET', `${LEASES}/billing`, undefined, undefined, 'nobody-token');
    await answer('unauthorized.http', 'GET', `${LEASES}/billing`, undefined, undefined, 'wrong');
    await answer('namespace-missing.http', 'POST', LEASES.replace('ours', 'theirs'), lease);
    await answer('resources.http', 'GET', '/apis/coordination.k8s.io/v1beta1');
    await answer('no-resources.http', 'GET', '/apis/coordination.k8s.io/v9');
    await answer('candidate-created.http', 'PUT', `${candidates}/billing`, candidate);
    await answer('candidate.http', 'GET', `${candidates}/billing`);
    await answer('review.http', 'POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
      spec: {
        resourceAttributes: {
          namespace: 'ours',
          verb: 'get',
          group: 'coordination.k8s.io',
          resource: 'leases',
        },
      },
    });
    // A pod needs a service account. No controller runs here that would create it.
    keep('credentials', 'token', unsigned(await server.serviceAccountToken('ours', 'default')));
    keep('credentials', 'authority.pem', server.ca);
    await ask('POST', PODS, {
      metadata: { name: 'billing-1' },
      spec: { containers: [{ name: 'app', image: 'app:1' }] },
    });
    for (const [name, state] of Object.entries({ running, killed: { terminated: killed } })) {
      const status = {
        phase: name === 'killed' ? 'Failed' : 'Running',
        containerStatuses: [statusOf(state)],
      };
      const patched = await ask(
        'PATCH',
        `${PODS}/billing-1/status`,
        { status },
        'application/merge-patch+json',
      );
      keep('answers', `pod-${name}.http`, patched);
      // The evidence is about the holder of the fixtures.
      const pod = patched.toString().split('\r\n\r\n')[1] ?? '';
      keep('pods', `${name}.json`, bodyIn(pod).replace(/"uid":"[^"]*"/, `"uid":"${holder.podUid}"`));
    }
    const watched = said(server, 'http/1.1', requestText('GET', `${LEASES}?watch=true&timeoutSeconds=3`));
    await ask(
      'PATCH',
      `${LEASES}/billing`,
      { spec: { holderIdentity: 'they' } },
      'application/merge-patch+json',
    );
    await ask(
      'PATCH',
      `${LEASES}/billing`,
      { metadata: { annotations: null } },
      'application/merge-patch+json',
    );
    await answer('lease-deleted.http', 'DELETE', `${LEASES}/billing`);
    const stream = (await watched).toString();
    keep('http1', 'watch.http', stream);
    keep('watches', 'leases', bodyIn(stream.slice(stream.indexOf('\r\n\r\n') + 4)));
    await recordFrames(server);
  } finally {
    await server.stop();
  }
});

/** A body without its chunk sizes. */
function bodyIn(text: string): string {
  return text.replaceAll(/(?:^|\r\n)[0-9a-f]+(?:\r\n|$)/g, '').trimEnd();
}

/** Asks for the Lease over HTTP/2, without Node's client, and keeps every byte that the server sends. */
async function recordFrames(server: RealApiServer): Promise<void> {
  const literal = (name: string, value: string): Buffer =>
    Buffer.concat([
      Buffer.from([0x00, name.length]),
      Buffer.from(name),
      Buffer.from([value.length]),
      Buffer.from(value),
    ]);
  const path = `${LEASES}/shipping`;
  const headers = Buffer.concat([
    ...[
      literal(':method', 'GET'),
      literal(':scheme', 'https'),
      literal(':path', path),
      literal(':authority', 'x'),
    ],
    literal('authorization', `Bearer ${ADMIN_TOKEN}`),
  ]);
  const request = Buffer.concat([
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(4, 0, 0, Buffer.alloc(0)),
    frame(1, 5, 1, headers),
  ]);
  const isWhole = (bytes: Buffer): boolean => {
    for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
      const [type, flags] = [bytes[at + 3] ?? 0, bytes[at + 4] ?? 0];
      if (type === 0 && (flags & 1) === 1 && at + 9 + bytes.readUIntBE(at, 3) <= bytes.length) return true;
    }
    return false;
  };
  keep('http2-frames', 'lease', await said(server, 'h2', request, isWhole));
}

/** A token that no server accepts, and that no scanner for secrets need report. */
function unsigned(token: string): string {
  return token.replace(/[^.]+$/, 'no-signature');
}
