import { X509Certificate } from 'node:crypto';
import { fieldsOf, kindOf } from '../election/internal.js';
import { isLoopback } from './addresses.js';
import { isPath } from './file-path.js';
import { isInCluster } from './pod.js';

/** How to reach an API server. */
export type KubernetesSource =
  /**
   * By a kubeconfig. Without a file the usual order applies: the pod's service account, `KUBECONFIG`, `~/.kube/config`.
   * `context` selects another context than the current one.
   */
  | { readonly kubeconfigFile?: string | undefined; readonly context?: string | undefined }
  /**
   * By address: `server` is the URL, `certificateAuthority` a PEM text to trust instead of the system's authorities. A `token` is
   * used as it is. A `tokenFile` is the path of a file whose token may be replaced: a new token is used within seconds, and at
   * once when the server refuses the old one.
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

/** Whether a source means the pod of this process: it names nothing else, and this process runs in a pod. */
export function meansPod({ kubeconfigFile, context }: KubeconfigSource): boolean {
  return kubeconfigFile === undefined && context === undefined && isInCluster();
}

const byKubeconfig: readonly string[] = ['kubeconfigFile', 'context'];
const byAddress: readonly string[] = ['server', 'token', 'tokenFile', 'certificateAuthority'];

/** For each field a check, and the rule that a value breaks if the check fails. */
const rules: Readonly<Record<string, readonly [fits: (value: unknown) => boolean, rule: string]>> = {
  kubeconfigFile: [isPath, 'it must be the path of a file, not the text of a kubeconfig'],
  // Checked like a path, because the same wrong texts are given here by mistake.
  context: [isPath, 'it must be the name of a context in the kubeconfig'],
  server: [
    isAddress,
    'it must be an http or https URL without user, password and query, such as https://10.0.0.1:6443',
  ],
  token: [
    // White space at both ends is ignored, because a token is often read from a file.
    (value) => typeof value === 'string' && isToken(value.trim()),
    'it must be a non-empty string of ASCII characters without spaces or line breaks; leave it out to send none',
  ],
  tokenFile: [isPath, 'it must be the path of a file that contains a token, not the token itself'],
  certificateAuthority: [
    isPem,
    'it must be one or more certificates in PEM (-----BEGIN CERTIFICATE----- …), not a path',
  ],
};

/** One sentence for each rule that a source breaks. Values are not shown, because they may be secret. */
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
        `kubernetes.${name} is not allowed here: give ${byKubeconfig.join(' and ')}, or ${byAddress.join(', ')}, of which server is required`,
    ),
    ...(given['token'] === undefined || given['tokenFile'] === undefined
      ? []
      : ['kubernetes.token and kubernetes.tokenFile are both given: give only one of them']),
    ...known.flatMap((name) => {
      const value = given[name];
      const [fits, rule] = rules[name] ?? [() => true, ''];
      if (fits(value) || (value === undefined && name !== 'server')) return [];
      return [`kubernetes.${name} is ${seen(value)}: ${rule}`];
    }),
    ...plainHttpViolations(given),
  ];
}

/** Refuses to send a token to another machine over plain http, because anybody on the way could read and use it. */
function plainHttpViolations({ server, token, tokenFile }: Readonly<Record<string, unknown>>): string[] {
  if (!isAddress(server) || isProtected(new URL(server))) return [];
  if (token === undefined && tokenFile === undefined) return [];
  return [
    'kubernetes.server is an http URL of another machine, but a token is sent over plain http only to this machine ' +
      '(localhost, 127.0.0.0/8, ::1): give an https URL, or no token',
  ];
}

/** Whether nobody can read requests to this URL on the way. */
export function isProtected(server: URL): boolean {
  return server.protocol === 'https:' || isLoopback(server);
}

/** A copy of the source as it is now, if it is an object. */
export function sourceFields(source: unknown): Readonly<Record<string, unknown>> | undefined {
  return fieldsOf(source, [...byKubeconfig, ...byAddress]);
}

function seen(value: unknown): string {
  if (value === '') return 'empty';
  return typeof value === 'string' ? 'invalid (its value is not shown)' : kindOf(value);
}

/** Whether a string can be sent as a token, in a header. */
export function isToken(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
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
 * Whether a value is a string of whole certificates. Without this check, a broken certificate would show only when
 * connecting, as a broken network.
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
