/** kustomize, built from its Go modules: it prints what `kubectl kustomize` prints. */
import { run } from '../package/consumer.js';
import { goBinary, whyNoGoBinary, type GoProgram } from './go-binary.js';

/** How to build a folder with a kustomization.yaml, or why that is not possible. */
export type KustomizeSearch =
  | { readonly available: true; readonly build: (folder: string) => Promise<string> }
  | { readonly available: false; readonly reason: string };

const KUSTOMIZE: GoProgram = { folder: 'kustomize', ldflags: '' };

/** @throws Error if there is no Go to build it and `REQUIRE_KUSTOMIZE` is set, as in CI. */
export function findKustomize(env: NodeJS.ProcessEnv = process.env): KustomizeSearch {
  const reason = whyNoGoBinary(KUSTOMIZE);
  if (reason === undefined)
    return { available: true, build: async (folder) => run('.', await goBinary(KUSTOMIZE), [folder]) };
  if (env['REQUIRE_KUSTOMIZE']) throw new Error(`kustomize is required (REQUIRE_KUSTOMIZE), but ${reason}.`);
  return { available: false, reason };
}
