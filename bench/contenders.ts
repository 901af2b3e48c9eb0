/** What is measured: our electors, client-go's, and the one comparable Node package. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ClientGoContender, clientGoContender, Contender } from '../test/rig/contender.js';
import { findForeignClient } from '../test/rig/foreign-clients.js';
import type { Credentials, Surroundings } from './surroundings.js';

export interface StartOptions {
  readonly lease: string;
  readonly identity: string;
  readonly credentials: Credentials;
  /** The number of elections in the process, if the side supports several. Default: one. */
  readonly elections?: number;
}

/** One side of a comparison. */
export interface Side {
  readonly name: string;
  /** A failure is injected at SIGUSR2. */
  readonly hasObstacle?: boolean;
  start(options: StartOptions): Promise<Contender>;
}

/** Our side, connected by address as in a pod: no kubeconfig is read. */
export function elector(surroundings: Surroundings): Side {
  return ours('elector', 'elector-contender.js', byAddress(surroundings));
}

/**
 * With the size of the heap that Node chooses in a container with a memory limit of 512 MiB. The machine's own memory is far
 * more, and with it Node lets the heap grow to several times what lives in it.
 */
export function limitedElector(surroundings: Surroundings): Side {
  return ours('elector, 512 MiB', 'elector-contender.js', byAddress(surroundings), [
    '--max-old-space-size=256',
    '--max-semi-space-size=1',
  ]);
}

export function nest(surroundings: Surroundings): Side {
  return ours('Nest application', 'nest-contender.js', byAddress(surroundings));
}

export function nestWithKubeconfig(surroundings: Surroundings): Side {
  return ours('Nest application, kubeconfig', 'nest-contender.js', ({ kubeconfig }) => [
    `--namespace=${surroundings.namespace}`,
    `--kubeconfig=${kubeconfig}`,
  ]);
}

/** An elector with one failure, injected at SIGUSR2. */
export function obstructed(surroundings: Surroundings, obstacle: 'watch' | 'claim'): Side {
  const name = obstacle === 'watch' ? 'elector, its watch broke before' : 'elector, its first claim failed';
  const args = byAddress(surroundings);
  return {
    ...ours(name, 'elector-contender.js', (credentials) => [...args(credentials), `--obstacle=${obstacle}`]),
    hasObstacle: true,
  };
}

/** The choices of the option `timing`. */
export type Timing = 'fast' | 'standard' | 'patient';

/** A replica that will die. */
export interface MortalOptions {
  readonly lease: string;
  readonly identity: string;
  readonly timing: Timing;
  readonly takeover?: 'podStatus';
  readonly serverClockMargin?: number;
  /** Added to its environment. Default: nothing. */
  readonly env?: NodeJS.ProcessEnv;
  /** It runs in a PID namespace of its own, as in a container. Default: false. */
  readonly isContainer?: boolean;
  /** The address of its API server. Default: that of the surroundings. */
  readonly url?: string;
}

/** A Nest application that dies by an exception at SIGUSR2. */
export function mortal(surroundings: Surroundings, options: MortalOptions): Contender {
  const { lease, identity, timing, takeover, serverClockMargin, env = {}, isContainer = false } = options;
  const { url = surroundings.url } = options;
  const node = [process.execPath, fileURLToPath(new URL('nest-contender.js', import.meta.url))] as const;
  const args = [
    ...byAddress({ ...surroundings, url })(surroundings.credentials[0]),
    `--lease=${lease}`,
    `--identity=${identity}`,
    `--timing=${timing}`,
    ...(takeover === undefined ? [] : [`--takeover=${takeover}`]),
    ...(serverClockMargin === undefined ? [] : [`--server-clock-margin=${String(serverClockMargin)}`]),
  ];
  const program = isContainer ? ([...IN_A_CONTAINER, ...node] as const) : node;
  return new Contender('Nest application', identity, program, args, { ...process.env, ...env });
}

/** `unshare` of util-linux starts a program as the first process of a new PID namespace. Its own end kills the program. */
const IN_A_CONTAINER = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'] as const;

/** Whether this user may create PID namespaces. */
export function canUnshare(): boolean {
  const [program, ...args] = IN_A_CONTAINER;
  return spawnSync(program, [...args, 'true']).status === 0;
}

/** A Nest application without an election. */
export function bareNest(surroundings: Surroundings): Side {
  return ours('bare Nest application', 'bare-application.js', byAddress(surroundings));
}

export function clientGo({ namespace }: Surroundings): Side {
  return {
    name: 'client-go',
    start: ({ credentials: { kubeconfig }, ...options }) =>
      ClientGoContender.start({ kubeconfig, namespace, ...options }),
  };
}

/** Empty if it cannot be installed here. */
export function codedependant({ namespace }: Surroundings): Side[] {
  const found = findForeignClient('codedependant');
  if (!found.available) return [];
  const timing = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 2_000 };
  return [
    {
      name: '@codedependant',
      start: ({ lease, identity, credentials: { kubeconfig } }) =>
        found.start({ kubeconfig, namespace, lease, identity, ...timing }),
    },
  ];
}

/** Builds and installs what is missing, so that no measurement waits for it. */
export async function prepareContenders(): Promise<void> {
  await clientGoContender();
  const found = findForeignClient('codedependant');
  if (found.available) await found.install();
}

type ArgumentsFor = (credentials: Credentials) => readonly string[];

function ours(
  name: string,
  program: string,
  argumentsFor: ArgumentsFor,
  nodeOptions: readonly string[] = [],
): Side {
  const path = fileURLToPath(new URL(program, import.meta.url));
  return {
    name,
    start: ({ lease, identity, credentials, elections = 1 }) => {
      const args = [`--lease=${lease}`, `--identity=${identity}`, `--elections=${String(elections)}`];
      const all = [...argumentsFor(credentials), ...args];
      return Promise.resolve(new Contender(name, identity, [process.execPath, ...nodeOptions, path], all));
    },
  };
}

function byAddress({ server, url, namespace }: Surroundings): ArgumentsFor {
  return ({ tokenFile }) => [
    `--namespace=${namespace}`,
    `--server=${url}`,
    `--certificate-authority=${server.caFile}`,
    `--token-file=${tokenFile}`,
  ];
}
