import { join } from 'node:path';
import { LONG_AGO, LeaseRequestError, after, type Clock } from '../election/internal.js';
import {
  commonHeaders,
  proxyUrl,
  routeTo,
  withoutSlash,
  type Access,
  type AccessSource,
  type Wait,
} from './access.js';
import { environmentProxy } from './environment-proxy.js';
import { KeptFile } from './kept-file.js';
import { certificatesIn, isPem, isToken, type AddressSource } from './kubernetes-source.js';
import { SERVICE_ACCOUNT_FOLDER, podServer } from './pod.js';
import type { Route } from './transport.js';

/** How often the files are checked while requests are sent. */
const LOOK_EVERY_MS = 2_000;

interface DirectAccessParts {
  /** @throws LeaseRequestError */
  readonly server: () => string;
  readonly token: string | KeptFile | undefined;
  /** The authorities to trust, in PEM. Undefined: the system's. */
  readonly authority: string | KeptFile | undefined;
  /** What the first request waits for, as named in an error. */
  readonly what: string;
  readonly clock: Clock;
}

/**
 * The access to a server whose address, token and authority are known without a kubeconfig: from the options, or from
 * the files of the pod's service account. client-node is not loaded, unless the environment names a SOCKS proxy.
 *
 * The files are read before the first request. While requests are sent, the files are checked at most every two
 * seconds, in the background, and read again if they have changed. So no request waits for them, except that after a
 * 401 they are read at once. While a file cannot be used, its last usable content is used.
 */
export class DirectAccess implements AccessSource {
  readonly #parts: DirectAccessParts;
  readonly #files: readonly KeptFile[];
  #access: Access | undefined;
  /** The authority with which the route was made. */
  #authority: string | undefined;
  /** The read in progress. There is only one at a time, so old content never replaces newer content. */
  #reading: Promise<unknown> | undefined;
  #lookAt = LONG_AGO;

  constructor(parts: DirectAccessParts) {
    this.#parts = parts;
    this.#files = [parts.token, parts.authority].filter((part) => part instanceof KeptFile);
  }

  /** The access to an address from the options. */
  static byAddress(source: AddressSource, clock: Clock): DirectAccess {
    const { server, token, tokenFile, certificateAuthority } = source;
    return new DirectAccess({
      server: () => server,
      token: tokenFile === undefined ? token?.trim() : new KeptFile(tokenFile, tokenIn, unusableTokenFile),
      authority:
        certificateAuthority === undefined ? undefined : certificatesIn(certificateAuthority).join('\n'),
      what: tokenFile === undefined ? 'the proxy of the environment' : 'kubernetes.tokenFile',
      clock,
    });
  }

  /** The access of the pod in which this process runs. */
  static ofPod(
    clock: Clock,
    folder = SERVICE_ACCOUNT_FOLDER,
    env: NodeJS.ProcessEnv = process.env,
  ): DirectAccess {
    const file = (name: string, partOf: (text: string) => string): KeptFile => {
      const path = join(folder, name);
      return new KeptFile(path, partOf, (why) => unusablePodFile(path, why));
    };
    return new DirectAccess({
      server: () => podServer(env),
      token: file('token', tokenIn),
      authority: file('ca.crt', authorityIn),
      what: "the files of the pod's service account",
      clock,
    });
  }

  async start(): Promise<void> {
    if (this.#access === undefined) await this.#read();
  }

  now(): Access | undefined {
    if (this.#access !== undefined && this.#files.length > 0) this.#lookInPassing();
    return this.#access;
  }

  get last(): Access | undefined {
    return this.#access;
  }

  async get(wait: Wait): Promise<Access> {
    return wait(this.#parts.what, () => this.#read());
  }

  async renew(refused: Access, wait: Wait): Promise<Access | undefined> {
    if (this.#files.length === 0) return undefined;
    const renewed = await wait(this.#parts.what, async () => {
      // A read in progress may have begun before the token was replaced.
      await this.#reading?.catch(() => undefined);
      return this.#access === refused ? this.#read() : this.#access;
    });
    return renewed === refused ? undefined : renewed;
  }

  /** Checks the files now. Never rejects. */
  async look(): Promise<void> {
    await this.#alone(async () => {
      await Promise.all(this.#files.map((file) => file.refresh()));
      return this.#made();
    }).catch(() => undefined);
  }

  #lookInPassing(): void {
    const now = this.#parts.clock.now();
    if (now < this.#lookAt) return;
    this.#lookAt = after(now, LOOK_EVERY_MS);
    if (this.#reading === undefined) void this.look();
  }

  async #read(): Promise<Access> {
    this.#lookAt = after(this.#parts.clock.now(), LOOK_EVERY_MS);
    await this.#alone(async () => {
      // The token must be read again, because the server refused it. A broken authority may keep its last content.
      const serves = (file: KeptFile): boolean => file !== this.#parts.token && file.content !== undefined;
      await Promise.all(this.#files.map((file) => (serves(file) ? file.refresh() : file.read())));
      await this.#made();
    });
    return this.#access as Access;
  }

  /** Concurrent callers share one read. */
  #alone(read: () => Promise<unknown>): Promise<unknown> {
    this.#reading ??= read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Replaces the access if the token or the authority has changed, and its route only if the authority has changed. */
  async #made(): Promise<void> {
    const token = contentOf(this.#parts.token);
    const authority = contentOf(this.#parts.authority);
    const last = this.#access;
    const isSameRoute = last !== undefined && authority === this.#authority;
    const headers: Access['headers'] =
      token === undefined ? commonHeaders : { ...commonHeaders, Authorization: `Bearer ${token}` };
    const isSameToken = last !== undefined && last.headers['Authorization'] === headers['Authorization'];
    if (isSameRoute && isSameToken) return;
    const server = last?.server ?? withoutSlash(this.#parts.server());
    const route = isSameRoute ? last.route : await routeFor(new URL(server), authority);
    this.#authority = authority;
    this.#access = { server, route, headers };
  }
}

async function routeFor(server: URL, authority: string | undefined): Promise<Route> {
  const named = environmentProxy(server);
  const variable = server.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const proxy = named === undefined ? undefined : proxyUrl(named, `The environment variable ${variable}`);
  // Set explicitly, so that NODE_TLS_REJECT_UNAUTHORIZED has no effect.
  const tls = { rejectUnauthorized: true, ...(authority !== undefined && { ca: authority }) };
  return routeTo(server, proxy, tls);
}

function contentOf(part: string | KeptFile | undefined): string | undefined {
  return part instanceof KeptFile ? part.content : part;
}

function tokenIn(text: string): string {
  const token = text.trim();
  if (isToken(token)) return token;
  throw new Error('contains no token (one word of ASCII characters)');
}

function authorityIn(text: string): string {
  const certificates = certificatesIn(text);
  if (certificates.length > 0 && isPem(text)) return certificates.join('\n');
  throw new Error('contains no PEM certificate, or a broken one');
}

/** Neither the path nor the file system's error is passed on, because the token itself may have been given as the path. */
function unusableTokenFile(why: string): LeaseRequestError {
  return unusable(`The file of kubernetes.tokenFile ${why}. Check the path and its permissions.`);
}

function unusablePodFile(path: string, why: string): LeaseRequestError {
  return unusable(
    `The pod's service account cannot be used: its file ${path} ${why}. The kubelet writes this file ` +
      `(automountServiceAccountToken): check the pod's volumes, and the permissions of this process.`,
  );
}

function unusable(what: string): LeaseRequestError {
  const message = `${what} The next request reads it again.`;
  return new LeaseRequestError('LEADER_KUBECONFIG_INVALID', message, { maybeCommitted: false });
}
