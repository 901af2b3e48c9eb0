import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';

/** `<hostname>_<uuid>`: readable as the pod's name, and never the same for two processes. */
export function defaultIdentity(): string {
  return `${hostname()}_${randomUUID()}`;
}
