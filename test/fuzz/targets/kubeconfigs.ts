/** Kubeconfigs, as files: whoever wrote them. Nothing is connected. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeconfigAccess } from '../../../lib/kubernetes/kubeconfig-access.js';
import { defaultNamespace } from '../../../lib/kubernetes/index.js';
import type { Target } from '../fuzzing.js';
import { SECRET } from '../mutations.js';
import { checkPrototypes, keepsPromises } from '../promises.js';

const folder = mkdtempSync(join(tmpdir(), 'nestjs-leader-fuzz-kubeconfig-'));
const file = join(folder, 'config');

const LONGEST = 20_000;
/** Makes the secret as long as a token: a message shows what may be the name of a context. */
const REPEATS = 7;

export const kubeconfigs: Target = {
  name: 'kubeconfigs',
  runsPerSecond: 150,
  async run(input) {
    // The parser of YAML is slow, and the file is the user's own.
    const text = input.subarray(0, LONGEST).toString('latin1');
    writeFileSync(file, text.replaceAll(SECRET, SECRET.repeat(REPEATS)), 'latin1');
    for (const context of [undefined, 'a-context']) {
      const source = { kubeconfigFile: file, context };
      const access = await keepsPromises(() => new KubeconfigAccess(source).get((_what, begin) => begin()));
      if (access !== undefined && !/^https?:\/\//.test(access.server))
        throw new Error('A kubeconfig was taken without the URL of a server.');
      const found = await keepsPromises(() => defaultNamespace(source, folder, {}));
      if (found?.namespace !== undefined && typeof found.namespace !== 'string')
        throw new Error(`The namespace of a kubeconfig is ${typeof found.namespace}.`);
      const { problem } = found ?? {};
      if (problem !== undefined) await keepsPromises(() => Promise.reject(problem));
    }
    checkPrototypes();
  },
  close() {
    rmSync(folder, { recursive: true });
  },
};
