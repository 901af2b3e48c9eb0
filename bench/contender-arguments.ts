/** What our contenders are started with, and how they say what happens to them: as client-go's contender does. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { KubernetesOptions } from 'nestjs-leader';

const { values } = parseArgs({
  options: {
    namespace: { type: 'string', default: 'default' },
    lease: { type: 'string', default: 'contended' },
    identity: { type: 'string', default: 'nestjs-leader' },
    elections: { type: 'string', default: '1' },
    obstacle: { type: 'string' },
    kubeconfig: { type: 'string' },
    server: { type: 'string', default: '' },
    'certificate-authority': { type: 'string', default: '' },
    'token-file': { type: 'string', default: '' },
  },
});

export const { namespace, lease, identity, obstacle } = values;

/** By the kubeconfig, if there is one; else by address, with the files that a pod has. */
export const kubernetes: KubernetesOptions =
  values.kubeconfig === undefined
    ? {
        server: values.server,
        certificateAuthority: readFileSync(values['certificate-authority'], 'utf8'),
        tokenFile: values['token-file'],
      }
    : { kubeconfigFile: values.kubeconfig };

const elections = Number(values.elections);

/** Several are on `<lease>-0`, `<lease>-1`, and so on. */
export const leases: readonly string[] =
  elections === 1 ? [lease] : Array.from({ length: elections }, (_, index) => `${lease}-${String(index)}`);

/** A JSON object a line on standard output, with the time by the machine's monotonic clock. */
export function say(
  event: 'ready' | 'started' | 'stopped' | 'leader' | 'timeout',
  { lease = '', leader = '' } = {},
): void {
  const monotonicNs = process.hrtime.bigint().toString();
  process.stdout.write(`${JSON.stringify({ event, identity, leader, lease, monotonicNs })}\n`);
}
