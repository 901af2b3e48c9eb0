import { spawn } from 'node:child_process';
import { listenTo } from '../security/canary.js';
import { goBinary, whyNoGoBinary, type GoProgram } from './go-binary.js';

const KUBECTL: GoProgram = { folder: 'kubectl', ldflags: '' };

/** Why kubectl cannot be built here; undefined if it can. */
export function whyNoKubectl(): string | undefined {
  return whyNoGoBinary(KUBECTL);
}

/** Runs kubectl, which is built once, and resolves with its output. @throws Error if it fails. */
export async function kubectl(kubeconfig: string, args: readonly string[]): Promise<string> {
  const program = await goBinary(KUBECTL);
  return new Promise((resolve, reject) => {
    const child = listenTo(spawn(program, ['--kubeconfig', kubeconfig, ...args]));
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString('utf8');
      });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new Error(`kubectl ${args.join(' ')} ended with ${String(code)}: ${output}`));
    });
  });
}
