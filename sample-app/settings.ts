import type { LeaderElectionModuleOptions } from 'nestjs-leader';

interface Settings {
  readonly port: number;
  readonly election: LeaderElectionModuleOptions;
}

/** The settings in the environment. All have defaults; in a pod the namespace is that of the pod. */
export function settings(env: NodeJS.ProcessEnv = process.env): Settings {
  return {
    port: Number(env['PORT'] ?? 3000),
    election: {
      leaseName: env['LEASE_NAME'] ?? 'sample-app',
      leaseNamespace: env['LEASE_NAMESPACE'],
      identity: env['IDENTITY'],
      leaseDuration: millisecondsOf(env['LEASE_DURATION']),
      renewDeadline: millisecondsOf(env['RENEW_DEADLINE']),
      retryPeriod: millisecondsOf(env['RETRY_PERIOD']),
    },
  };
}

function millisecondsOf(value: string | undefined): number | undefined {
  return value === undefined ? undefined : Number(value);
}
