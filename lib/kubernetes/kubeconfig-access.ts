import type { RequestOptions } from 'node:https';
import { dirname } from 'node:path';
import { LeaseRequestError } from '../election/internal.js';
import { commonHeaders, routeTo, withoutSlash, type Access, type AccessSource, type Wait } from './access.js';
import { isCertainPath, shownPath } from './file-path.js';
import { loadKubeConfig, type LoadedKubeConfig } from './kube-config.js';
import type { KubeconfigSource } from './kubernetes-source.js';
import { SERVICE_ACCOUNT_FOLDER } from './pod.js';
import type { Route, TlsMaterial } from './transport.js';

const KUBECONFIG = 'the kubeconfig and @kubernetes/client-node, which reads it';
const CREDENTIALS = 'the credentials that the kubeconfig names (its plugin, provider or files)';

/** An access, and the kubeconfig from which it was read. */
interface ReadAccess extends Access {
  readonly from: Promise<LoadedKubeConfig>;
}

/**
 * The access of a kubeconfig. `start` or the first request loads the kubeconfig, and with it
 * `@kubernetes/client-node`. After a failure the next request loads it again, and so does a request whose credentials
 * the server refuses.
 *
 * client-node is asked for the credentials of every request, because it knows when those of a plugin, a provider or a
 * file are outdated. If the kubeconfig itself contains all of them, it is asked once.
 */
export class KubeconfigAccess implements AccessSource {
  readonly #source: KubeconfigSource;
  #config: Promise<LoadedKubeConfig> | undefined;
  /** The access that is being read. Concurrent requests share one run of a credential plugin. */
  #asking: { readonly from: Promise<LoadedKubeConfig>; readonly access: Promise<ReadAccess> } | undefined;
  #access: ReadAccess | undefined;
  /** What the route of the access was made from, as text, to notice a change. */
  #material = '';
  /** The access is valid until the server refuses it. */
  #isWhole = false;

  constructor(source: KubeconfigSource) {
    this.#source = source;
  }

  async start(): Promise<void> {
    await this.#load();
  }

  now(): Access | undefined {
    return this.#isWhole && this.#access?.from === this.#config ? this.#access : undefined;
  }

  get last(): Access | undefined {
    return this.#access;
  }

  async get(wait: Wait): Promise<Access> {
    const from = this.#load();
    await wait(KUBECONFIG, () => from);
    if (this.#asking?.from !== from) {
      const asking = { from, access: this.#read(from) };
      this.#asking = asking;
      const done = (): void => {
        if (this.#asking === asking) this.#asking = undefined;
      };
      asking.access.then(done, done);
    }
    const { access } = this.#asking;
    return wait(CREDENTIALS, () => access);
  }

  async renew(refused: Access, wait: Wait): Promise<Access> {
    // Unless another request was refused before, and has loaded the kubeconfig again.
    if ('from' in refused && this.#config === refused.from) this.#config = undefined;
    return this.get(wait);
  }

  #load(): Promise<LoadedKubeConfig> {
    if (this.#config === undefined) {
      const config = loadKubeConfig(this.#source);
      this.#config = config;
      config.catch(() => {
        if (this.#config === config) this.#config = undefined;
      });
    }
    return this.#config;
  }

  /** Returns the same object as before if client-node gave the same credentials and certificates. */
  async #read(from: Promise<LoadedKubeConfig>): Promise<ReadAccess> {
    const { config, server, proxy, isWhole } = await from;
    // Set explicitly, so that NODE_TLS_REJECT_UNAUTHORIZED has no effect. The kubeconfig's insecure-skip-tls-verify still works.
    const options: RequestOptions = { rejectUnauthorized: true };
    try {
      await config.applyToHTTPSOptions(options);
    } catch (error) {
      throw noCredentials(error);
    }
    const cluster = config.getCurrentCluster();
    const tls = tlsOf(options, cluster?.tlsServerName);
    const material = [server.href, proxy?.href, ...Object.entries<unknown>({ ...tls }).flat()]
      .map(asText)
      .join('\n');
    const last = this.#access;
    const isSameRoute = last !== undefined && material === this.#material;
    const headers = headersOf(options);
    const isSame =
      isSameRoute && last.from === from && JSON.stringify(headers) === JSON.stringify(last.headers);
    if (isSame) return last;
    const route: Route = isSameRoute ? last.route : await routeTo(server, proxy, tls);
    const access = { server: withoutSlash(cluster?.server ?? ''), route, headers, from };
    // Unless a newer kubeconfig has been loaded meanwhile.
    if (this.#config === from) {
      this.#access = access;
      this.#material = material;
      this.#isWhole = isWhole;
    }
    return access;
  }
}

/** @throws LeaseRequestError if a header cannot be sent. */
function headersOf({ headers: given = {}, auth }: RequestOptions): Record<string, string> {
  const headers: Record<string, string> = { ...commonHeaders };
  for (const [name, value] of Object.entries(given)) headers[name] = String(value).trim();
  // Otherwise Node would throw for each request, which would look like a broken network.
  if (!Object.values(headers).every(isHeader))
    throw unfitCredentials('one contains characters that an HTTP header cannot contain');
  if (auth) headers['Authorization'] = `Basic ${Buffer.from(auth).toString('base64')}`;
  return headers;
}

function tlsOf(options: RequestOptions, servername: string | undefined): TlsMaterial {
  const { ca, cert, key, pfx, passphrase, rejectUnauthorized } = options;
  return { ca, cert, key, pfx, passphrase, rejectUnauthorized, ...(servername && { servername }) };
}

function asText(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('latin1') : String(value);
}

/**
 * Neither the message nor the cause is passed on: they may contain what a provider printed, or a secret that was
 * given as a path.
 */
function noCredentials(error: unknown): LeaseRequestError {
  if (error instanceof LeaseRequestError) return error;
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  const file = path === undefined ? '' : ` a file${shownFile(path)}`;
  return unfitCredentials(
    code === undefined ? 'its credential provider failed' : `${syscall ?? ''}${file}: ${code}`.trim(),
  );
}

/** Relative paths have been made absolute. So the last segment of a path without an extension may be a token. */
function shownFile(path: string): string {
  const isNamed = /\.[a-z]{2,5}$/i.test(path) || path.startsWith(SERVICE_ACCOUNT_FOLDER);
  return isNamed || !isCertainPath(path) ? shownPath(path) : ` in${shownPath(dirname(path))}`;
}

function unfitCredentials(why: string): LeaseRequestError {
  return new LeaseRequestError(
    'LEADER_KUBECONFIG_INVALID',
    `The kubeconfig's credentials or certificates cannot be loaded (${why}). Check its user and cluster.`,
    { maybeCommitted: false },
  );
}

/** Whether Node accepts a string as the value of a header: no line break, no character beyond Latin-1. */
function isHeader(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
}
