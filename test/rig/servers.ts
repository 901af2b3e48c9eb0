/** Finds the programs of a real API server. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { goBinary, whyNoGoBinary, type GoProgram } from './go-binary.js';
import type { Program } from './rig-process.js';

/** How to start each program. */
export interface ServerPrograms {
  readonly etcd: Program;
  readonly kubeApiserver: Program;
}

/** The programs, or why they are not available. */
export type ServerSearch =
  | { readonly available: true; readonly programs: () => Promise<ServerPrograms> }
  | { readonly available: false; readonly reason: string };

const VERSION = 'v1.36.3';

/** Without these the server takes itself for version 0.0 and refuses its feature gates. */
const LDFLAGS = [
  `-X k8s.io/component-base/version.gitVersion=${VERSION}`,
  '-X k8s.io/component-base/version.gitMajor=1',
  '-X k8s.io/component-base/version.gitMinor=36',
].join(' ');

const MULTI_CALL: GoProgram = { folder: 'apiserver', ldflags: LDFLAGS };

/**
 * Finds the user's programs (`KUBEBUILDER_ASSETS`, the folder of envtest), or else builds them with Go.
 *
 * @throws Error if there is neither and `REQUIRE_REAL_API_SERVER` is set, as in CI.
 */
export function findServers(env: NodeJS.ProcessEnv = process.env): ServerSearch {
  const search = lookFor(env);
  if (search.available || !env['REQUIRE_REAL_API_SERVER']) return search;
  throw new Error(`A real API server is required (REQUIRE_REAL_API_SERVER), but ${search.reason}`);
}

function lookFor(env: NodeJS.ProcessEnv): ServerSearch {
  const assets = env['KUBEBUILDER_ASSETS'];
  if (assets !== undefined && assets !== '') {
    const [etcd, kubeApiserver] = [join(assets, 'etcd'), join(assets, 'kube-apiserver')];
    const missing = [etcd, kubeApiserver].filter((path) => !existsSync(path));
    if (missing.length === 0) {
      return {
        available: true,
        programs: () => Promise.resolve({ etcd: [etcd], kubeApiserver: [kubeApiserver] }),
      };
    }
    return {
      available: false,
      reason: `KUBEBUILDER_ASSETS is set, and these are not there: ${missing.join(', ')}.`,
    };
  }
  const obstacle = whyNoGoBinary(MULTI_CALL);
  if (obstacle === undefined) return { available: true, programs: builtPrograms };
  return {
    available: false,
    reason: `KUBEBUILDER_ASSETS (a folder with kube-apiserver and etcd) is not set, and ${obstacle}.`,
  };
}

async function builtPrograms(): Promise<ServerPrograms> {
  const binary = await goBinary(MULTI_CALL);
  return { etcd: [binary, 'etcd'], kubeApiserver: [binary, 'kube-apiserver'] };
}
