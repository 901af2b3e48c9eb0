/**
 * Finds the configuration and lets `@kubernetes/client-node` read it: it knows client certificates, exec and OIDC
 * plugins, token files and proxies. It is loaded when first needed, and nowhere else.
 */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { LeaseRequestError, show, type LeaderErrorCode } from '../election/index.js';
import { importClientNode } from './client-node.js';
import { environmentProxy } from './environment-proxy.js';
import { certificatesIn, type KubernetesSource } from './kubernetes-source.js';
import { isInCluster } from './pod.js';
import { readToken } from './token.js';

/**
 * Reads the configuration anew, caches of credentials included.
 *
 * @throws LeaseRequestError `LEADER_NO_CLUSTER`, `LEADER_KUBECONFIG_INVALID`, `LEADER_CLIENT_UNUSABLE`
 */
export async function loadKubeConfig(source: KubernetesSource): Promise<KubeConfig> {
  // Before the import, which is the slow part: a laptop without a cluster need not pay for it.
  const file =
    'server' in source || usesPod(source) ? undefined : await readKubeconfig(source.kubeconfigFile);
  const { KubeConfig } = await importClientNode();
  const config = new KubeConfig();
  if ('server' in source) config.loadFromOptions(optionsFor(source, await readToken(source)));
  else if (file === undefined) config.loadFromCluster();
  else parse(config, file, source.context);
  const server = check(config);
  const cluster = config.getCurrentCluster();
  if (cluster !== null) {
    const proxyUrl = cluster.proxyUrl ?? environmentProxy(server);
    if (proxyUrl !== undefined) Object.assign(cluster, { proxyUrl });
    // client-node refuses plain http unless told not to verify what is not there to be verified.
    if (server.protocol === 'http:') Object.assign(cluster, { skipTLSVerify: true });
  }
  return config;
}

interface Kubeconfig {
  readonly path: string;
  readonly text: string;
}

function usesPod(source: { kubeconfigFile?: string | undefined; context?: string | undefined }): boolean {
  return source.kubeconfigFile === undefined && source.context === undefined && isInCluster();
}

async function readKubeconfig(chosen: string | undefined): Promise<Kubeconfig> {
  // KUBECONFIG may list several files; like kubectl without merging, the first one that is there counts.
  const fromEnvironment = (process.env['KUBECONFIG'] ?? '').split(process.platform === 'win32' ? ';' : ':');
  const named = chosen === undefined ? fromEnvironment.filter((path) => path !== '') : [chosen];
  const candidates = named.length > 0 ? named : [join(homedir(), '.kube', 'config')];
  for (const path of candidates) {
    try {
      return { path, text: await readFile(path, 'utf8') };
    } catch (cause) {
      const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
      if (!missing || (named.length > 0 && path === candidates.at(-1))) throw unreadable(path, cause);
    }
  }
  throw fatal(
    'LEADER_NO_CLUSTER',
    `No Kubernetes cluster to hold the lease: this process runs in no pod with a service account ` +
      `(KUBERNETES_SERVICE_HOST and its token file), KUBECONFIG is not set, and ${String(candidates[0])} is not there. ` +
      `To run without a cluster, give the option enabled: false (this process then always leads), or start the ` +
      `LeaseApiServer of nestjs-leader/testing.`,
  );
}

function unreadable(path: string, cause: unknown): LeaseRequestError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
  return fatal(
    'LEADER_KUBECONFIG_INVALID',
    `The kubeconfig ${path} cannot be read (${code}). Check the path and its permissions.`,
    cause,
  );
}

function parse(config: KubeConfig, { path, text }: Kubeconfig, context: string | undefined): void {
  try {
    config.loadFromString(text);
    config.makePathsAbsolute(dirname(path));
  } catch (cause) {
    // The parser's own message quotes the file, which may hold secrets: neither it nor its cause is passed on.
    const what = text.trim() === '' ? 'it is empty' : nameOf(cause);
    throw fatal('LEADER_KUBECONFIG_INVALID', `The kubeconfig ${path} is not a valid one (${what}).`);
  }
  if (context === undefined) return;
  if (config.getContextObject(context) === null) {
    const known = config.getContexts().map(({ name }) => name);
    throw fatal(
      'LEADER_KUBECONFIG_INVALID',
      `The kubeconfig ${path} has no context '${context}'; it has: ${known.join(', ') || 'none'}.`,
    );
  }
  config.setCurrentContext(context);
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

function optionsFor(
  { server, certificateAuthority }: { server: string; certificateAuthority?: string | undefined },
  token: string | undefined,
): unknown {
  const certificates = certificateAuthority && certificatesIn(certificateAuthority).join('\n');
  const caData = certificates && Buffer.from(certificates).toString('base64');
  return {
    clusters: [{ name: 'given', server, ...(caData && { caData }), skipTLSVerify: false }],
    users: [{ name: 'given', ...(token && { token }) }],
    contexts: [{ name: 'given', cluster: 'given', user: 'given' }],
    currentContext: 'given',
  };
}

function check(config: KubeConfig): URL {
  const cluster = config.getCurrentCluster();
  if (cluster === null) {
    throw fatal(
      'LEADER_KUBECONFIG_INVALID',
      `The kubeconfig's current context ('${config.getCurrentContext()}') names no cluster that is in it.`,
    );
  }
  if (config.getCurrentUser() === null) {
    throw fatal(
      'LEADER_KUBECONFIG_INVALID',
      `The kubeconfig's current context ('${config.getCurrentContext()}') names no user that is in it.`,
    );
  }
  const server = URL.canParse(cluster.server) ? new URL(cluster.server) : undefined;
  if (server?.protocol === 'https:' || server?.protocol === 'http:') return server;
  throw fatal(
    'LEADER_KUBECONFIG_INVALID',
    `The kubeconfig's server is ${shownServer(cluster.server)}: it must be an http or https URL.`,
  );
}

/** Before an @ a password may stand. */
function shownServer(server: string): string {
  return server.includes('@') ? 'none such (it is not shown, for the password in it)' : show(server);
}

function fatal(code: LeaderErrorCode, message: string, cause?: unknown): LeaseRequestError {
  return new LeaseRequestError(code, message, { maybeCommitted: false, cause });
}
