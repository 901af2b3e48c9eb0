/** Go programs of the rig, which are built once and kept outside the source tree. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildInCache, cachePath, RIG, runBuild } from './rig-cache.js';

/** A Go module of the rig. */
export interface GoProgram {
  /** Its folder beside this file. */
  readonly folder: string;
  readonly ldflags: string;
}

const REMEDY =
  'It needs the modules of go.sum (from the Go module cache or proxy) and about 4 GB of disk; the API server ' +
  'needs no build when KUBEBUILDER_ASSETS names a folder with kube-apiserver and etcd.';

/** Independent of a Go workspace around this folder, and of the user's flags. */
const environment = (): NodeJS.ProcessEnv => ({ ...process.env, CGO_ENABLED: '0', GOWORK: 'off' });

/** Why `goBinary` cannot build this program here; undefined if it can. */
export function whyNoGoBinary(program: GoProgram): string | undefined {
  if (existsSync(pathOf(program))) return undefined;
  // This reads go.mod, so it also fails if Go is too old.
  const { status, error, stderr } = spawnSync('go', ['list', '-mod=readonly', '-m'], {
    cwd: join(RIG, program.folder),
    env: environment(),
    encoding: 'utf8',
  });
  if (error !== undefined) return `Go (go.dev) cannot be run (${error.message})`;
  return status === 0 ? undefined : `Go cannot build test/rig/${program.folder}: ${stderr.trim()}`;
}

/**
 * The path of the built program. The very first call takes minutes and reports its progress on standard error; the
 * result is kept in the user's cache folder under the hash of the module's files.
 */
export function goBinary(program: GoProgram): Promise<string> {
  const { folder, ldflags } = program;
  return buildInCache(pathOf(program), `test/rig/${folder} with Go`, 'some minutes', (unfinished) => {
    const flags = ['-mod=readonly', '-buildvcs=false', '-trimpath', '-ldflags', `-s -w ${ldflags}`];
    return runBuild({
      command: 'go',
      args: ['build', ...flags, '-o', unfinished, '.'],
      cwd: join(RIG, folder),
      env: environment(),
      remedy: REMEDY,
    });
  });
}

function pathOf({ folder, ldflags }: GoProgram): string {
  const source = join(RIG, folder);
  const hash = createHash('sha256').update(ldflags);
  const files = readdirSync(source).filter((file) => /^go\.(mod|sum)$|\.go$/.test(file));
  for (const file of files.sort()) hash.update(file).update(readFileSync(join(source, file)));
  return cachePath(hash.digest('hex'), folder);
}
