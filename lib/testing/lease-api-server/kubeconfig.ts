/** The kubeconfig of a server: JSON, which is YAML. */

/** Whose kubeconfig, for what. */
export interface KubeconfigOptions {
  /** Sent as bearer token. Default: none is sent. */
  readonly token?: string | undefined;
  /** The namespace of the context. Default: `default`. */
  readonly namespace?: string | undefined;
}

/** @param certificate PEM of the authority that vouches for the server; undefined without TLS. */
export function kubeconfigFor(
  url: string,
  certificate: string | undefined,
  { token, namespace = 'default' }: KubeconfigOptions,
): string {
  const name = 'lease-api-server';
  // Plain HTTP is refused by @kubernetes/client-node unless TLS is declared to be of no concern.
  const trust =
    certificate === undefined
      ? { 'insecure-skip-tls-verify': true }
      : { 'certificate-authority-data': Buffer.from(certificate).toString('base64') };
  // Over TLS kubectl asks for a user unless it has one. The server knows none by password, so this one is anonymous.
  const withoutToken = certificate === undefined ? {} : { username: 'anonymous', password: 'anonymous' };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: url, ...trust } }],
    users: [{ name, user: token === undefined ? withoutToken : { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace } }],
    'current-context': name,
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}
