/** Leases sent as text, for what JSON.stringify would not write. */
import { failureBody, leaseBody, type Row } from './row.js';

/** Go's name of a MicroTime. */
export const LAYOUT = '2006-01-02T15:04:05.000000Z07:00';

export const HANDLED_AS = 'Lease in version "v1" cannot be handled as a Lease: ';

/** A POST of this text; `NAME` stands for a free name. */
export function textRow(title: string, text: string, message: string): Row {
  return {
    title,
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: text.replace('NAME', free),
    }),
    status: 400,
    body: ({ free }) => failureBody(400, 'BadRequest', message.replace('NAME', free)),
  };
}

/** A POST of a Lease with this spec, as text. */
export function specRow(spec: string, message: string): Row {
  return textRow(`${spec} is refused`, `{"metadata":{"name":"NAME"},"spec":${spec}}`, HANDLED_AS + message);
}

/** A POST of this spec, and what is stored of it. */
export function keptRow(spec: string, kept: object): Row {
  return {
    title: `${spec} is taken`,
    request: ({ collection, free }) => ({
      method: 'POST',
      path: collection,
      body: `{"metadata":{"name":"${free}"},"spec":${spec}}`,
    }),
    status: 201,
    body: ({ namespace, free }) => leaseBody(namespace, free, kept),
  };
}
