/** actionlint finds nothing wrong with the workflows. It is built of its Go module, once. */
import { spawnSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { buildInCache, cachePath, runBuild } from '../rig/rig-cache.js';
import { run } from './consumer.js';

const VERSION = 'v1.7.12';
const MODULE = 'github.com/rhysd/actionlint/cmd/actionlint';

if (spawnSync('go', ['version']).error !== undefined) {
  it('the workflows are not checked by actionlint here: Go is not installed', () => {
    expect(process.env['REQUIRE_REAL_API_SERVER'] ?? '', 'CI needs Go').toBe('');
  });
} else {
  it('the workflows are valid', async () => {
    const folder = await buildInCache(
      cachePath(`actionlint-${VERSION}`, 'actionlint'),
      'actionlint',
      'half a minute',
      async (unfinished) => {
        await mkdir(unfinished);
        const env = { ...process.env, GOBIN: unfinished };
        const remedy = 'It needs Go and its module (from the module cache or a proxy).';
        await runBuild({
          command: 'go',
          args: ['install', `${MODULE}@${VERSION}`],
          cwd: unfinished,
          env,
          remedy,
        });
      },
    );
    expect(await run('.', join(folder, 'actionlint'), ['-shellcheck=', '-pyflakes='])).toBe('');
  });
}
