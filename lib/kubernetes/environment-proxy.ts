/**
 * The proxy that the environment names for `url`: HTTPS_PROXY or HTTP_PROXY in either case, unless NO_PROXY lists its
 * host (`*`, a host, or a domain with or without a leading dot; ports and address ranges are not understood).
 */
export function environmentProxy(url: URL, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const proxy = env[name] ?? env[name.toLowerCase()];
  if (proxy === undefined || proxy === '') return undefined;
  const exempt = (env['NO_PROXY'] ?? env['no_proxy'] ?? '')
    .split(',')
    .map((entry) => entry.trim().toLowerCase());
  const host = url.hostname.toLowerCase();
  const matches = (entry: string): boolean => {
    const domain = entry.replace(/^\*?\./, '');
    return entry === '*' || (domain !== '' && (host === domain || host.endsWith(`.${domain}`)));
  };
  return exempt.some(matches) ? undefined : proxy;
}
