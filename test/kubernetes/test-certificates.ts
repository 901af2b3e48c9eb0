/** Certificates for a test, made on the spot by the openssl command: Node can use them, but not make them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Certificates {
  readonly folder: string;
  readonly ca: string;
  readonly server: { readonly key: string; readonly cert: string };
  readonly client: { readonly key: string; readonly cert: string };
  remove(): void;
}

/** An authority, a server certificate for `serverName` only, and a client certificate. */
export function makeCertificates(serverName: string): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-leader-certificates-'));
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  };
  const read = (file: string): string => readFileSync(join(folder, file), 'utf8');
  const key = ['-newkey', 'rsa:2048', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-days',
    '2',
    '-subj',
    '/CN=test-ca',
  );
  for (const [name, extension] of [
    ['server', `subjectAltName=DNS:${serverName}`],
    ['client', 'extendedKeyUsage=clientAuth'],
  ] as const) {
    writeFileSync(join(folder, `${name}.ext`), extension);
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    const sign = ['x509', '-req', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
    openssl(...sign, '-in', `${name}.csr`, '-out', `${name}.crt`, '-extfile', `${name}.ext`);
  }
  const pair = (name: string) => ({ key: read(`${name}.key`), cert: read(`${name}.crt`) });
  return {
    folder,
    ca: read('ca.crt'),
    server: pair('server'),
    client: pair('client'),
    remove: () => {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
