/** Bytes that a client sends to the embedded Lease API server. */
import { connect, type Socket } from 'node:net';
import { request } from 'node:http';
import { LeaseApiServer } from '../../../lib/testing/index.js';
import type { Target } from '../fuzzing.js';
import { checkPrototypes } from '../promises.js';

const COLLECTION = '/apis/coordination.k8s.io/v1/namespaces/ours/leases';

export const leaseApiServers: Target = {
  name: 'lease-api-servers',
  runsPerSecond: 120,
  async run(input) {
    const server = await LeaseApiServer.start();
    try {
      server.put({ metadata: { name: 'billing', namespace: 'ours' }, spec: { holderIdentity: 'me' } });
      const { port } = new URL(server.url);
      // As many inputs are a request without its last bytes, the client closes its side.
      const answered = await said(connect(Number(port), '127.0.0.1'), input);
      checkAnswer(answered);
      const { status, text } = await get(Number(port));
      if (status !== 200) throw new Error(`The server then answers ${String(status)}.`);
      JSON.parse(text);
      checkPrototypes();
    } finally {
      await server.stop();
    }
  },
};

/** What the server says, until it closes the connection or opens a watch. */
function said(socket: Socket, input: Buffer): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('error', () => undefined);
    socket.on('close', () => {
      resolve(text);
    });
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      // A watch never ends.
      if (/transfer-encoding: chunked/i.test(text)) socket.destroy();
    });
    socket.end(input);
  });
}

function checkAnswer(text: string): void {
  if (text === '') return;
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]);
  if (!(status >= 100 && status < 600))
    throw new Error(`The server says ${JSON.stringify(text.slice(0, 200))}.`);
  // A body that the API server itself answers with 500 is one that this server answers so, too, with a Status.
  if (status >= 500 && !text.includes('"kind":"Status"'))
    throw new Error(`The server answers ${text.slice(0, 500)}.`);
  if (/\b(?:TypeError|RangeError|ReferenceError|Cannot read|at \w+ \(file:)/.test(text))
    throw new Error(`An answer tells of a bug: ${text.slice(0, 1_000)}`);
}

function get(port: number): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    request({ port, path: COLLECTION, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, text });
      });
    })
      .on('error', reject)
      .end();
  });
}
