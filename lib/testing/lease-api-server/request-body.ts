/** Reads what a client sends, up to what the API server takes. */
import type { IncomingMessage } from 'node:http';
import { entityTooLarge } from './status.js';

/** The API server's limit. */
const MAX_BODY_BYTES = 3_145_728;

/** @throws StatusError 413 */
export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // What is too much is read, and forgotten: an answer before the end would reset the connection.
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (bytes > MAX_BODY_BYTES) throw entityTooLarge(String(MAX_BODY_BYTES));
  return Buffer.concat(chunks).toString('utf8');
}
