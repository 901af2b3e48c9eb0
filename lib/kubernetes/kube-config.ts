import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Cluster, KubeConfig, User } from '@kubernetes/client-node';
import { LeaseRequestError, type LeaderErrorCode } from '../election/internal.js';
import { proxyUrl } from './access.js';
import { importClientNode } from './client-node.js';
import { isLoopback } from './addresses.js';
import { environmentProxy } from './environment-proxy.js';
import { CredentialPlugin, pluginOf } from './credential-plugin.js';
import { holdsText, isPath, isUrl, shownPath } from './file-path.js';
import { isProtected, type KubeconfigSource } from './kubernetes-source.js';

/** A usable kubeconfig. */
export interface LoadedKubeConfig {
  readonly config: KubeConfig;
  readonly server: URL;
  /** The proxy on the way to the server: the kubeconfig's, else the environment's. `config` does not contain it. */
  readonly proxy: URL | undefined;
  /**
   * The kubeconfig itself contains the credentials and certificates, so no plugin, provider or other file can change
   * them.
   */
  readonly isWhole: boolean;
}

/**
 * Finds the kubeconfig and reads it with `@kubernetes/client-node`, which supports client certificates, exec and OIDC
 * plugins and token files. Credentials that a plugin or provider cached in the kubeconfig are not used.
 *
 * @throws LeaseRequestError `LEADER_NO_CLUSTER`, `LEADER_KUBECONFIG_INVALID`, `LEADER_CLIENT_UNUSABLE`
 */
export async function loadKubeConfig(source: KubeconfigSource): Promise<LoadedKubeConfig> {
  // Before the slow import, which is not needed on a laptop without a cluster.
  const file = await readKubeconfig(source.kubeconfigFile);
  const { KubeConfig } = await importClientNode();
  const config = new KubeConfig();
  parse(config, file, source.context);
  const { cluster, user } = currentIn(config);
  checkPaths(cluster, user);
  const server = serverOf(cluster);
  const proxy = proxyOf(cluster, server);
  checkWay(server, proxy, user);
  // client-node refuses plain http unless skipTLSVerify is set.
  if (server.protocol === 'http:') Object.assign(cluster, { skipTLSVerify: true });
  // With it, client-node would create an agent for the proxy each time it is asked for the credentials.
  Object.assign(cluster, { proxyUrl: undefined });
  const plugin = pluginOf(user);
  if (plugin !== undefined) {
    // client-node's own provider runs the plugin for every request if its credentials have no expiry.
    Object.assign(user, { exec: undefined, authProvider: undefined });
    config.addAuthenticator(new CredentialPlugin({ ...plugin, folder: dirname(file.path) }));
  }
  const others = [plugin, user.authProvider, user.certFile, user.keyFile, cluster.caFile];
  const isWhole = !others.some(Boolean);
  return { config, server, proxy, isWhole };
}

interface Kubeconfig {
  readonly path: string;
  readonly text: string;
}

async function readKubeconfig(chosen: string | undefined): Promise<Kubeconfig> {
  const named = chosen === undefined ? kubeconfigsOfEnvironment() : [chosen];
  const candidates = named.length > 0 ? named : [join(homedir(), '.kube', 'config')];
  for (const path of candidates) {
    try {
      return { path, text: await readFile(path, 'utf8') };
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
      // The cause is not passed on, because it contains the path, too.
      if (code !== 'ENOENT' || (named.length > 0 && path === candidates.at(-1)))
        throw invalid(
          `The kubeconfig${shownPath(path)} cannot be read (${code}). Check the path and its permissions.`,
        );
    }
  }
  throw fatal(
    'LEADER_NO_CLUSTER',
    `Found no Kubernetes cluster for the lease: this process does not run in a pod with a service account ` +
      `(KUBERNETES_SERVICE_HOST and its token file), KUBECONFIG is not set, and ${String(candidates[0])} does not exist. ` +
      `To run without a cluster, set enabled: false (this process then always leads), or run npx nestjs-leader serve, a ` +
      `Lease API server for this machine.`,
  );
}

/** KUBECONFIG may list several files. They are not merged: the first one that exists is read. */
function kubeconfigsOfEnvironment(): string[] {
  const list = process.env['KUBECONFIG'] ?? '';
  const paths = list.split(process.platform === 'win32' ? ';' : ':').filter((path) => path !== '');
  // The text of a kubeconfig contains colons, so the whole value is checked too.
  if (paths.every(isPath) && !holdsText(list) && !isUrl(list)) return paths;
  throw invalid(
    `KUBECONFIG is not the path of a kubeconfig (its value is not shown, because it may contain secrets). If it is a ` +
      `kubeconfig itself, write it to a file and set KUBECONFIG to the path of that file.`,
  );
}

function parse(config: KubeConfig, { path, text }: Kubeconfig, context: string | undefined): void {
  const which = `The kubeconfig${shownPath(path)}`;
  try {
    config.loadFromString(text);
    config.makePathsAbsolute(dirname(path));
  } catch (cause) {
    // The parser's message quotes the file, which may contain secrets, so neither the message nor the cause is passed on.
    throw invalid(`${which} is not valid: ${text.trim() === '' ? 'it is empty' : brokenRule(cause)}.`);
  }
  if (context === undefined) return;
  if (config.getContextObject(context) === null) {
    const known = config.getContexts().map(({ name }) => shownName(name));
    throw invalid(`${which} has no context ${shownName(context)}; it has: ${known.join(', ') || 'none'}.`);
  }
  config.setCurrentContext(context);
}

/** The rule that a text breaks which client-node cannot load. */
function brokenRule(cause: unknown): string {
  return cause instanceof Error && cause.name === 'YAMLException'
    ? 'it is not YAML'
    : 'clusters, users and contexts must be lists, and each of their entries must have a name and the object that it names';
}

function currentIn(config: KubeConfig): { readonly cluster: Cluster; readonly user: User } {
  const [cluster, user] = [config.getCurrentCluster(), config.getCurrentUser()];
  if (cluster !== null && user !== null) return { cluster, user };
  const current = shownName(config.getCurrentContext());
  throw invalid(
    `The kubeconfig has no ${cluster === null ? 'cluster' : 'user'} for its current context (${current}).`,
  );
}

/** Refuses values that are not paths or names, because an error of the file system or of TLS would quote them. */
function checkPaths(cluster: Cluster, user: User): void {
  const provider = (user.authProvider as { config?: Record<string, unknown> } | undefined)?.config;
  const paths: readonly [field: string, value: unknown, remedy: string][] = [
    [
      'certificate-authority',
      cluster.caFile,
      'certificate-authority-data takes the certificates themselves, in base64',
    ],
    ['tls-server-name', cluster.tlsServerName, "it must be a name in the server's certificate"],
    ['client-certificate', user.certFile, 'client-certificate-data takes the certificate itself, in base64'],
    ['client-key', user.keyFile, 'client-key-data takes the key itself, in base64'],
    ["tokenFile of the auth-provider's config", provider?.['tokenFile'], 'token takes the token itself'],
    ["cmd-path of the auth-provider's config", provider?.['cmd-path'], 'it must name a program'],
    ['command of exec', pluginOf(user)?.command, 'it must name a program; arguments belong in args'],
  ];
  for (const [field, value, remedy] of paths) {
    if (value === undefined || value === null || value === '' || isPath(value)) continue;
    throw invalid(
      `The kubeconfig's ${field} is not a path or name (its value is not shown, because it may be a secret): ${remedy}.`,
    );
  }
}

function serverOf({ server }: Cluster): URL {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return url;
  throw invalid(`The kubeconfig's server is ${shownServer(server)}: it must be an http or https URL.`);
}

function proxyOf(cluster: Cluster, server: URL): URL | undefined {
  if (cluster.proxyUrl) return proxyUrl(cluster.proxyUrl, "The kubeconfig's proxy-url");
  const named = environmentProxy(server);
  return named === undefined
    ? undefined
    : proxyUrl(named, 'The environment variable HTTPS_PROXY or HTTP_PROXY');
}

/** Refuses to send credentials to another machine over plain http, because anybody on the way could read and use them. */
function checkWay(server: URL, proxy: URL | undefined, user: User): void {
  const isReadable = !isProtected(server) || (server.protocol === 'http:' && !isLoopback(proxy ?? server));
  if (!isReadable || !(server.username !== '' || server.password !== '' || hasCredentials(user))) return;
  throw invalid(
    `The kubeconfig's server is reached over plain http (${server.host}), and its user has credentials, which anybody ` +
      `on the way could read and use. Credentials are sent over plain http only to this machine (localhost, ` +
      `127.0.0.0/8, ::1), and not through a proxy on another machine. Use an https URL, or a user without credentials.`,
  );
}

/** Whether requests contain credentials. A client certificate is not sent without TLS. */
function hasCredentials({ token, username, exec, authProvider }: User): boolean {
  return [token, username, exec, authProvider].some(Boolean);
}

/** Shows a server only if it is a host with a port, or a URL of one, whose labels are too short to be a token. */
function shownServer(server: string): string {
  const isHost =
    isPath(server) &&
    server.length <= 80 &&
    /^(?:\w+:\/\/)?[\w-]{1,40}(?:\.[\w-]{1,40})*:\d+\/?$/.test(server);
  return isHost ? `'${server}'` : 'invalid (not shown, because it may be a secret)';
}

function shownName(name: unknown): string {
  return isPath(name) ? `'${name}'` : 'a name that is not shown';
}

function invalid(message: string): LeaseRequestError {
  return fatal('LEADER_KUBECONFIG_INVALID', message);
}

function fatal(code: LeaderErrorCode, message: string): LeaseRequestError {
  return new LeaseRequestError(code, message, { maybeCommitted: false });
}
