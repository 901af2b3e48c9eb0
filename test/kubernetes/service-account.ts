import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ServiceAccountFiles {
  readonly token: string;
  readonly 'ca.crt': string;
  readonly namespace?: string;
}

/** The folder of a service account, as the kubelet writes it: files are links into a folder that is replaced as a whole. */
export class ServiceAccountFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'nestjs-leader-service-account-'));
  #versions = 0;

  constructor(files: ServiceAccountFiles) {
    this.replace(files);
    for (const name of Object.keys(files)) symlinkSync(`..data/${name}`, join(this.path, name));
  }

  replace(files: ServiceAccountFiles): void {
    const version = `..version-${String(++this.#versions)}`;
    mkdirSync(join(this.path, version));
    for (const [name, text] of Object.entries(files))
      writeFileSync(join(this.path, version, name), text as string);
    symlinkSync(version, join(this.path, '..data_tmp'));
    renameSync(join(this.path, '..data_tmp'), join(this.path, '..data'));
  }

  remove(): void {
    rmSync(this.path, { recursive: true });
  }
}
