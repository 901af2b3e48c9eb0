import { execFile, type ExecFileException } from 'node:child_process';
import type { RequestOptions } from 'node:https';
import { basename, resolve as resolvePath } from 'node:path';
import { LeaseRequestError, SystemClock, type Clock } from '../election/internal.js';
import { isCertainPath } from './file-path.js';
import { isToken } from './kubernetes-source.js';

/** A kubeconfig's `exec`: a program that prints credentials. */
export interface PluginCommand {
  readonly command?: unknown;
  readonly args?: readonly string[] | null;
  /**
   * The folder of the kubeconfig, where a relative path starts, as in kubectl. A name without a slash is looked up in
   * PATH.
   */
  readonly folder?: string;
  readonly env?: readonly { readonly name: string; readonly value: string }[] | null;
}

/** The credentials that the program printed. */
interface Credential {
  readonly token: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  /** Wall-clock time, in milliseconds; undefined if they do not expire. */
  readonly expiresAt: number | undefined;
}

/** A program that hangs is killed, so that it can be run again. */
const LONGEST_RUN_MS = 60_000;
const LONGEST_OUTPUT_BYTES = 1024 * 1024;

/** The plugin of a kubeconfig's user, if it has one. */
export function pluginOf({
  exec,
  authProvider,
}: {
  exec?: unknown;
  authProvider?: unknown;
}): PluginCommand | undefined {
  const legacy = (authProvider as { config?: { exec?: unknown } } | undefined)?.config?.exec;
  return ((exec ?? legacy) as PluginCommand | null | undefined) ?? undefined;
}

/**
 * Gets the credentials of a kubeconfig's user from its plugin. As in kubectl, they are used until they expire or, if
 * they do not, until the API server refuses them; then the kubeconfig is read again, which creates a new object of
 * this class. Concurrent requests share one run of the program, which continues when they are given up.
 *
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
 */
export class CredentialPlugin {
  readonly #plugin: PluginCommand;
  readonly #clock: Clock;
  #running: Promise<Credential> | undefined;
  #credential: Credential | undefined;

  constructor(plugin: PluginCommand, clock: Clock = new SystemClock()) {
    this.#plugin = plugin;
    this.#clock = clock;
  }

  /** client-node uses this provider if none of its own fits the user. */
  isAuthProvider(): boolean {
    return true;
  }

  /**
   * Sets the credentials where client-node expects them.
   *
   * @throws LeaseRequestError `LEADER_KUBECONFIG_INVALID`. Nothing that the plugin printed is passed on.
   */
  async applyAuthentication(_user: unknown, options: RequestOptions): Promise<void> {
    const { token, certificate, key } = await this.#current();
    if (certificate !== undefined) options.cert = certificate;
    if (key !== undefined) options.key = key;
    if (token !== undefined) Object.assign((options.headers ??= {}), { Authorization: `Bearer ${token}` });
  }

  async #current(): Promise<Credential> {
    const known = this.#credential;
    if (known !== undefined && (known.expiresAt ?? Infinity) > this.#clock.date()) return known;
    this.#running ??= run(this.#plugin).finally(() => {
      this.#running = undefined;
    });
    this.#credential = await this.#running;
    return this.#credential;
  }
}

function run({ command, args, env, folder = '.' }: PluginCommand): Promise<Credential> {
  if (typeof command !== 'string' || command === '') throw failed(' has no command');
  const variables = Object.fromEntries((env ?? []).map(({ name, value }) => [name, value]));
  const options = {
    env: { ...process.env, ...variables },
    timeout: LONGEST_RUN_MS,
    killSignal: 'SIGKILL',
    maxBuffer: LONGEST_OUTPUT_BYTES,
  } as const;
  return new Promise((resolve, reject) => {
    const program = basename(command) === command ? command : resolvePath(folder, command);
    const child = execFile(program, args ?? [], options, (error, output) => {
      const credential = error === null ? credentialIn(output) : failureOf(error, command);
      if (credential instanceof Error) reject(credential);
      else resolve(credential);
    });
    // The program cannot ask for input.
    child.stdin?.on('error', () => undefined).end();
  });
}

function failureOf(error: ExecFileException, command: string): LeaseRequestError {
  const shown = /^[\w.+-]{1,64}$/.test(command) || isCertainPath(command) ? ` ${command}` : '';
  if (error.killed === true) return failed(`${shown} printed too much, or did not end within a minute`);
  if (typeof error.code === 'string') return failed(`${shown} cannot be run (${error.code})`);
  return failed(`${shown} failed (exit code ${String(error.code)})`);
}

function credentialIn(output: string): Credential | LeaseRequestError {
  try {
    const { status } = JSON.parse(output) as { status?: Readonly<Record<string, unknown>> };
    const text = (name: string): string | undefined => {
      const value = status?.[name];
      return typeof value === 'string' && value.trim() !== '' ? value : undefined;
    };
    const token = text('token')?.trim();
    const [certificate, key] = [text('clientCertificateData'), text('clientKeyData')];
    const expiresAt = Date.parse(text('expirationTimestamp') ?? '');
    if (token !== undefined && !isToken(token))
      return failed(' printed a token that contains white space or non-ASCII characters');
    if (token !== undefined || (certificate !== undefined && key !== undefined))
      return { token, certificate, key, expiresAt: Number.isNaN(expiresAt) ? undefined : expiresAt };
  } catch {
    // The parser's message quotes what was printed.
  }
  return failed(' printed no ExecCredential whose status contains a token, or a certificate and its key');
}

function failed(what: string): LeaseRequestError {
  return new LeaseRequestError(
    'LEADER_KUBECONFIG_INVALID',
    `The kubeconfig's credential plugin${what}. Run it by hand to see its output.`,
    { maybeCommitted: false },
  );
}
