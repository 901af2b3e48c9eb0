import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Kubeconfigs of one cluster, one user and one context, in a folder that is removed afterwards. */
export class KubeconfigFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'nestjs-leader-kubeconfig-'));
  #files = 0;

  /** Writes a kubeconfig and returns its path. `extra` replaces parts of it. */
  write(cluster: object, user: object = {}, extra: object = {}): string {
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'a-cluster', cluster }],
      users: [{ name: 'a-user', user }],
      contexts: [{ name: 'a-context', context: { cluster: 'a-cluster', user: 'a-user' } }],
      'current-context': 'a-context',
      ...extra,
    };
    return this.file(`kubeconfig-${String(++this.#files)}`, JSON.stringify(config));
  }

  file(name: string, text: string): string {
    const path = join(this.path, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  remove(): void {
    rmSync(this.path, { recursive: true });
  }
}

/** PEM as a kubeconfig embeds it. */
export function embedded(pem: string): string {
  return Buffer.from(pem).toString('base64');
}
