import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keepSecret } from '../security/canary.js';

/** PEM. */
export interface KeyPair {
  readonly key: string;
  readonly cert: string;
}

/** An authority and its certificates, for one test run. Node cannot create certificates, so openssl does. */
export class TestAuthority {
  /** PEM of the authority. */
  readonly ca: string;
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    openssl(folder, [
      ...['req', '-x509', ...newKey('ca'), '-out', 'ca.crt', '-days', '2', '-subj', '/CN=test authority'],
    ]);
    this.ca = readFileSync(join(folder, 'ca.crt'), 'utf8');
  }

  /** Undefined if there is no openssl. */
  static make(): TestAuthority | undefined {
    try {
      execFileSync('openssl', ['version'], { stdio: 'ignore' });
    } catch {
      return undefined;
    }
    return new TestAuthority(mkdtempSync(join(tmpdir(), 'nestjs-leader-certificates-')));
  }

  /** @param names subject alternative names, e.g. `IP:127.0.0.1`, `DNS:api.test`. */
  issue(commonName: string, ...names: string[]): KeyPair {
    const folder = this.#folder;
    openssl(folder, ['req', ...newKey('new'), '-out', 'new.csr', '-subj', `/CN=${commonName}`]);
    const alternative = names.length > 0 ? `subjectAltName=${names.join(',')}\n` : '';
    writeFileSync(join(folder, 'new.ext'), `${alternative}basicConstraints=CA:FALSE\n`);
    openssl(folder, [
      ...['x509', '-req', '-in', 'new.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'],
      ...['-out', 'new.crt', '-days', '2', '-extfile', 'new.ext'],
    ]);
    const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
    const key = read('new.key');
    keepSecret(key);
    return { key, cert: read('new.crt') };
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }
}

function newKey(name: string): string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`];
}

function openssl(folder: string, args: readonly string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
}
