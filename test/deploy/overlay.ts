/** The overlay of docs/operations.md, built as in an application that has installed the package. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadAllYaml } from '@kubernetes/client-node';
import { examplesIn } from '../package/consumer.js';

/** @param build kustomize. */
export async function documentedOverlay<T>(build: (folder: string) => Promise<string>): Promise<T[]> {
  const folder = await mkdtemp(join(tmpdir(), 'nestjs-leader-overlay-'));
  try {
    const overlay = (await examplesIn('docs/operations.md')).get('kustomization.yaml') ?? '';
    await cp('deploy', join(folder, 'node_modules/nestjs-leader/deploy'), { recursive: true });
    await writeFile(join(folder, 'kustomization.yaml'), overlay);
    return loadAllYaml(await build(folder)) as T[];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
