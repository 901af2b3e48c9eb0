/**
 * A socket that exists exactly as long as its process: the kernel closes it when the process ends, however that happens, and never
 * before. So the kernel itself says whether a process lives, even one that is stopped or that nobody manages any more.
 *
 * The socket has a name in the abstract namespace of Linux, which belongs to a network namespace. The containers of a pod share
 * one, and the number of a namespace is not given to another while a process lives in it.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { SignOfLife } from '../../election/internal.js';

let own: { readonly sign: SignOfLife | undefined } | undefined;

/**
 * Opens the socket of this process, once, and never closes it: it also stands for work that outlives its election. It does not keep the
 * process running. Undefined where the kernel does not show the socket.
 */
export function ownSignOfLife(): SignOfLife | undefined {
  own ??= { sign: open() };
  return own.sign;
}

/** Whether the process with this sign has ended. False if that is not certain. */
export async function hasEnded(sign: SignOfLife): Promise<boolean> {
  // The list knows the name in every form that a client may have given it; a refusal comes from the socket's absence itself.
  return sign.network === networkOf() && isListed(sign.name) === false && (await isRefused(sign.name));
}

function open(): SignOfLife | undefined {
  const network = networkOf();
  const name = `nestjs-leader/${randomBytes(16).toString('hex')}`;
  if (network === undefined) return undefined;
  // Otherwise the primary process of a cluster would open the socket for its workers.
  const server = createServer((client) => client.destroy()).on('error', () => undefined);
  server.listen({ path: pathOf(name), exclusive: true });
  server.unref();
  return isListed(name) === true ? { network, name } : undefined;
}

function isRefused(name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const client = connect(pathOf(name));
    client.on('connect', () => {
      client.destroy();
      resolve(false);
    });
    client.on('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'ECONNREFUSED');
    });
  });
}

/** Whether the kernel lists a socket of this name in this process' network namespace; undefined if it lists none at all. */
function isListed(name: string): boolean | undefined {
  const list = attempt(() => readFileSync('/proc/self/net/unix', 'utf8'));
  return list?.includes(`@${name}`);
}

function networkOf(): string | undefined {
  return /^net:\[(\d+)\]$/.exec(attempt(() => readlinkSync('/proc/self/ns/net')) ?? '')?.[1];
}

function pathOf(name: string): string {
  return `\0${name}`;
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
