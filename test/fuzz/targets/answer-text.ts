import type { IncomingHttpHeaders } from 'node:http';
import type { ApiResponse } from '../../../lib/kubernetes/index.js';

/**
 * A recorded answer: a status line, headers, an empty line, and the body. It is read leniently, as what a transport of a user might
 * return; what Node's parser makes of the same bytes is the subject of another target.
 */
export function answerIn(input: Buffer): ApiResponse {
  const text = input.toString('utf8');
  const end = /\r?\n\r?\n/.exec(text);
  const [statusLine = '', ...lines] = text.slice(0, end?.index ?? 0).split(/\r?\n/);
  const status = Number(/\d{3}/.exec(statusLine)?.[0] ?? 200);
  const headers: IncomingHttpHeaders = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon > 0) headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { status, headers, text: end === null ? text : text.slice(end.index + end[0].length) };
}
