import { X509Certificate } from 'node:crypto';
import { fieldsOf, kindOf } from '../election/index.js';
import { isLoopback } from './addresses.js';
import { isPath } from './file-path.js';
import { isInCluster } from './pod.js';
import { isToken } from './token.js';

/** How to reach an API server. */
export type KubernetesSource =
  /**
   * By a kubeconfig. Without a file the usual order applies: the pod's service account, `KUBECONFIG`, `~/.kube/config`.
   * `context` selects another context than the current one.
   */
  | { readonly kubeconfigFile?: string | undefined; readonly context?: string | undefined }
  /**
   * By address: `server` is the URL, `certificateAuthority` a PEM text to trust instead of the system's authorities. A `token` is
   * used as it is; a `tokenFile` is the path of a file whose token may be replaced: another token is used within seconds, and
   * at once when the server refuses the last.
   */
  | {
      readonly server: string;
      readonly token?: string | undefined;
      readonly tokenFile?: string | undefined;
      readonly certificateAuthority?: string | undefined;
    };

/** A source by address. */
export type AddressSource = Extract<KubernetesSource, { readonly server: string }>;

/** A source by the pod's service account or a kubeconfig. */
export type KubeconfigSource = Exclude<KubernetesSource, AddressSource>;

/** Whether a source means the pod in which this process runs: nothing else is named, and it runs in one. */
export function meansPod({ kubeconfigFile, context }: KubeconfigSource): boolean {
  return kubeconfigFile === undefined && context === undefined && isInCluster();
}

const byKubeconfig: readonly string[] = ['kubeconfigFile', 'context'];
const byAddress: readonly string[] = ['server', 'token', 'tokenFile', 'certificateAuthority'];

/** A check of a value, and the rule that is broken if it fails. */
const rules: Readonly<Record<string, readonly [fits: (value: unknown) => boolean, rule: string]>> = {
  kubeconfigFile: [isPath, 'it must be the path of a file, not the text of a kubeconfig'],
  // The same wrong texts are given by mistake here.
  context: [isPath, 'it must be the name of a context in the kubeconfig'],
  server: [
    isAddress,
    'it must be an http or https URL without user, password and query, as https://10.0.0.1:6443',
  ],
  token: [
    // White space at the ends is trimmed, because a token is often read from a file.
    (value) => typeof value === 'string' && isToken(value.trim()),
    'it must be a text that is not empty, without spaces and line breaks within; leave it out to send none',
  ],
  tokenFile: [isPath, 'it must be the path of a file that holds a token, not the token'],
  certificateAuthority: [
    isPem,
    'it must be the text of one or more certificates in PEM, -----BEGIN CERTIFICATE----- and so on, not a path',
  ],
};

/** One sentence for each rule that a source breaks. Its values may be secret, so only their types are shown. */
export function sourceViolations(source: unknown): string[] {
  const given = sourceFields(source);
  if (given === undefined) return [`kubernetes is ${kindOf(source)}: it must be an object`];
  const fitting = 'server' in given ? byAddress : byKubeconfig;
  const [known, unknown] = [true, false].map((isKnown) =>
    Object.keys(given).filter((name) => fitting.includes(name) === isKnown),
  ) as [string[], string[]];
  return [
    ...unknown.map(
      (name) =>
        `kubernetes.${name} does not fit: give ${byKubeconfig.join(' and ')}, or ${byAddress.join(', ')}; a server must be named`,
    ),
    ...(given['token'] === undefined || given['tokenFile'] === undefined
      ? []
      : ['kubernetes.token and kubernetes.tokenFile are given: it must be one of them']),
    ...known.flatMap((name) => {
      const value = given[name];
      const [fits, rule] = rules[name] ?? [() => true, ''];
      if (fits(value) || (value === undefined && name !== 'server')) return [];
      return [`kubernetes.${name} is ${seen(value)}: ${rule}`];
    }),
    ...plainHttpViolations(given),
  ];
}

/** Refuses to send a token to another machine over plain http: whoever reads it on the way can use it. */
function plainHttpViolations({ server, token, tokenFile }: Readonly<Record<string, unknown>>): string[] {
  if (!isAddress(server) || isProtected(new URL(server))) return [];
  if (token === undefined && tokenFile === undefined) return [];
  return [
    'kubernetes.server is an http URL of another machine: a token is sent over plain http to this machine only ' +
      '(localhost, 127.0.0.0/8, ::1); give an https URL, or no token',
  ];
}

/** Whether requests to a URL cannot be read on the way. */
export function isProtected(server: URL): boolean {
  return server.protocol === 'https:' || isLoopback(server);
}

/** A copy of the source as it is now, if it is an object. */
export function sourceFields(source: unknown): Readonly<Record<string, unknown>> | undefined {
  return fieldsOf(source, [...byKubeconfig, ...byAddress]);
}

function seen(value: unknown): string {
  if (value === '') return 'empty';
  return typeof value === 'string' ? 'a text that is none such' : kindOf(value);
}

function isAddress(value: unknown): value is string {
  if (typeof value !== 'string' || !URL.canParse(value)) return false;
  const { protocol, username, password } = new URL(value);
  // The path of a request is appended to it.
  if (/[?#]/.test(value)) return false;
  return (protocol === 'https:' || protocol === 'http:') && username === '' && password === '';
}

const pem = /-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----[^-]+-----END \1-----/g;
const begin = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/g;

/**
 * The certificates in a PEM text, each on lines of its own. TLS ignores a certificate that does not begin at the start of a
 * line, and all that follow it.
 */
export function certificatesIn(text: string): readonly string[] {
  return [...text.matchAll(pem)].map(([certificate]) => certificate);
}

/**
 * Whether a value is a text with whole certificates, and none that is broken. Without this check, a missing certificate would show
 * only when connecting, as a broken network.
 */
export function isPem(value: unknown): boolean {
  if (typeof value !== 'string') return false;
  const certificates = certificatesIn(value);
  const isWhole = value.match(begin)?.length === certificates.length;
  return isWhole && certificates.every(isCertificate);
}

function isCertificate(text: string): boolean {
  try {
    new X509Certificate(text);
    return true;
  } catch {
    return false;
  }
}
