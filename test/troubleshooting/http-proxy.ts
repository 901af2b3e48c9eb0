/** An HTTP proxy on loopback that treats watches as some proxies do. Everything else passes. */
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** `refuse`: a page with status 403. `cut`: the connection is closed after the first event. `buffer`: nothing comes before the end. */
export type WatchTreatment = 'refuse' | 'cut' | 'buffer';

export interface HttpProxy {
  readonly url: string;
  close(): Promise<void>;
}

export async function httpProxy(target: string, treatment: WatchTreatment): Promise<HttpProxy> {
  const server = createServer((incoming, outgoing) => {
    const isWatch = /[?&]watch=/.test(incoming.url ?? '');
    if (isWatch && treatment === 'refuse') {
      incoming.resume();
      outgoing.writeHead(403, { 'content-type': 'text/html' }).end('<html><h1>Blocked by policy</h1></html>');
    } else pass(target, incoming, outgoing, isWatch ? treatment : undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) =>
        server.close(() => {
          resolve();
        }),
      );
    },
  };
}

function pass(
  target: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  treatment: WatchTreatment | undefined,
): void {
  const { method, headers, url = '/' } = incoming;
  const onward = request(new URL(url, target), { method, headers }, (answer) => {
    if (treatment === 'buffer') {
      answer.resume();
      return;
    }
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    if (treatment === 'cut') answer.once('data', (event) => outgoing.write(event, () => outgoing.end()));
    else answer.pipe(outgoing);
  });
  onward.on('error', () => outgoing.destroy());
  outgoing.on('close', () => onward.destroy());
  incoming.pipe(onward);
}
