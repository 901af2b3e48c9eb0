/** The arguments of our contenders, and their output: the same as those of client-go's contender. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { KubernetesOptions, LeaderElectionModuleOptions } from 'nestjs-leader';

const { values } = parseArgs({
  options: {
    namespace: { type: 'string', default: 'default' },
    lease: { type: 'string', default: 'contended' },
    identity: { type: 'string', default: 'nestjs-leader' },
    elections: { type: 'string', default: '1' },
    obstacle: { type: 'string' },
    timing: { type: 'string' },
    takeover: { type: 'string' },
    'server-clock-margin': { type: 'string' },
    kubeconfig: { type: 'string' },
    server: { type: 'string', default: '' },
    'certificate-authority': { type: 'string', default: '' },
    'token-file': { type: 'string', default: '' },
  },
});

export const { namespace, lease, identity, obstacle } = values;

/** The connection by the kubeconfig, if there is one; otherwise by address, with files as in a pod. */
export const kubernetes: KubernetesOptions =
  values.kubeconfig === undefined
    ? {
        server: values.server,
        certificateAuthority: readFileSync(values['certificate-authority'], 'utf8'),
        tokenFile: values['token-file'],
      }
    : { kubeconfigFile: values.kubeconfig };

type Choices = Pick<LeaderElectionModuleOptions, 'timing' | 'takeover' | 'serverClockMargin'>;

/** The options of the election that are not the default. */
export const choices: Choices = {
  ...(values.timing !== undefined && { timing: values.timing as Choices['timing'] }),
  ...(values.takeover !== undefined && { takeover: values.takeover as Choices['takeover'] }),
  ...(values['server-clock-margin'] !== undefined && {
    serverClockMargin: Number(values['server-clock-margin']),
  }),
};

const elections = Number(values.elections);

/** With several elections the leases are `<lease>-0`, `<lease>-1` and so on. */
export const leases: readonly string[] =
  elections === 1 ? [lease] : Array.from({ length: elections }, (_, index) => `${lease}-${String(index)}`);

/** Prints one JSON object per line, with the time of the machine's monotonic clock. */
export function say(
  event: 'ready' | 'started' | 'stopped' | 'leader' | 'timeout',
  { lease = '', leader = '' } = {},
): void {
  const monotonicNs = process.hrtime.bigint().toString();
  process.stdout.write(`${JSON.stringify({ event, identity, leader, lease, monotonicNs })}\n`);
}
