import type { FactoryProvider, ModuleMetadata, Type } from '@nestjs/common';
import type {
  CampaignChoice,
  ElectionOptions,
  MetricsProvider,
  PriorityOf,
  ReadinessCheck,
  TracesProvider,
} from '../../election/internal.js';
import type { ClusterOptions } from './cluster-options.js';
import type { LockOption } from './lock-option.js';

/**
 * How to reach the API server. Without it: the pod's service account, else `KUBECONFIG`, else `~/.kube/config`.
 * `kubeconfigFile` and `context` choose others; with `server`, `token` and `certificateAuthority` (PEM) none is read. `tokenFile` is
 * the path of a token, in place of `token`; a token that replaces it there is used within seconds, and at once after a 401.
 */
export type KubernetesOptions =
  | { readonly kubeconfigFile?: string | undefined; readonly context?: string | undefined }
  | {
      readonly server: string;
      readonly token?: string | undefined;
      readonly tokenFile?: string | undefined;
      readonly certificateAuthority?: string | undefined;
    };

/**
 * A coordinated election (KEP-4355): the API server chooses the leader among the candidates by their versions, and moves
 * the leadership when a better one comes. Versions are semantic, without a `v`: `1.30.0`.
 */
export interface CoordinatedOptions {
  /** The version of this program. */
  readonly binaryVersion: string;
  /** The version it behaves like, at most `binaryVersion`. The lowest leads. Default: `binaryVersion`. */
  readonly emulationVersion?: string | undefined;
  /**
   * How the API server chooses. `OldestEmulationVersion`, the default: the lowest emulation version, then the lowest binary version,
   * then the oldest candidate. `domain/name`: a rule of your own, for which you run a controller.
   */
  readonly strategy?: string | undefined;
}

/** Whether each step of an election is logged: as a story, or as JSON that can be replayed. */
export type TraceOption = boolean | 'json';

/** The options of one election in an application. */
export interface LeaderElectionModuleOptions extends ElectionOptions, ClusterOptions {
  /**
   * False: this process always leads, and needs no API server: for a laptop, or a deployment of a single instance.
   * Every such process leads; its fencing tokens are 0. Default true.
   */
  enabled?: boolean | undefined;
  kubernetes?: KubernetesOptions | undefined;
  /**
   * False: this process follows and never leads: a script, or web pods that share a module with workers. It knows who leads, its
   * gates are closed, and it needs only `get` and `watch` on the Lease. A function is called when the application has started, and
   * again every `retryPeriod` while it fails. Default true.
   */
  campaign?: boolean | CampaignChoice | undefined;
  /**
   * Keep the lease elsewhere than on an API server: a lock of your own, or a function that makes one. With it no cluster is needed,
   * and options about a cluster are refused. The module closes it when the application has shut down. No effect with
   * `enabled: false`. Default: a Lease of the API server.
   */
  lock?: LockOption | undefined;
  /**
   * Campaign only while this check passes; hand over when it fails. It fails if it throws, rejects, returns `false`, or has not ended
   * after `readinessInterval`; then its signal fires. Default: none. Not called with `enabled: false`.
   */
  readinessCheck?: ReadinessCheck | undefined;
  /** Milliseconds from the beginning of one readiness check to the beginning of the next. Default 5000. */
  readinessInterval?: number | undefined;
  /**
   * Where this process can be reached while it leads, in any form: followers read it from the Lease with `getLeaderAddress()`. At most
   * 300 printable characters. Default: none.
   */
  advertise?: string | undefined;
  /**
   * A candidate asks a holder with a lower priority to hand over, about `leaseDuration` after it has seen that holder, and then ever
   * more rarely. Equal priorities leave the lease where it is. A function is called again and again, so it must be quick; while it
   * throws, the priority is 0. A holder without this option is not asked, so set it in all replicas. Default: none.
   */
  priority?: number | PriorityOf | undefined;
  /**
   * How many replicas lead at a time. Each leads one slot, whose number is `currentTerm().slot`. Each slot has a Lease, named
   * `leaseName-0` and so on. A replica never leads two slots, so with fewer replicas than slots some are free. At most 256.
   * Default 1: the only Lease is `leaseName`.
   */
  slots?: number | undefined;
  /**
   * The name of a second Lease in the same namespace: a process leads while it holds both. Use it to rename a Lease without ever
   * having two leaders: run all replicas with the old `leaseName`, then all with the new `leaseName` and the old one as
   * `alsoLease`, then all with the new one alone. Default: none.
   */
  alsoLease?: string | undefined;
  /**
   * Show who leads to refused callers and in health checks. False: they contain neither the leader nor this process, and health
   * checks show only the codes of errors. Logs and `LeaderService` show everything in any case. Default true.
   */
  exposeLeader?: boolean | undefined;
  /**
   * Log objects in place of lines, for loggers that take them: the sentence under this key (`'msg'` for nestjs-pino, `'message'` for
   * Nest's JSON logger), and beside it `lease`, `election`, `identity`, `event`, `reason`, `fencingToken`, `code` as fields. Default: lines.
   */
  logFields?: string | undefined;
  /**
   * Log the story of the election at level `debug`: each event, and what the election does about it. `'json'`: as a recording, a
   * line of JSON for each step, which can be replayed; attach it to a report of a bug. Neither contains a secret. No effect with
   * `enabled: false`. Default false.
   */
  trace?: TraceOption | undefined;
  /**
   * Where the election's metrics go: `prometheusMetrics()` of `nestjs-leader/metrics`, `openTelemetryMetrics()` of
   * `nestjs-leader/opentelemetry`, or a provider of your own. Default: nowhere.
   */
  metrics?: MetricsProvider | undefined;
  /**
   * Where the election's traces go: `openTelemetryTraces()` of `nestjs-leader/opentelemetry`. A span for each term, and one for each
   * call of a gated method, which links to that of its term. Default: nowhere.
   */
  traces?: TracesProvider | undefined;
  /**
   * Let the API server choose the leader, by version: in a rolling upgrade the oldest version leads to the end. Needs
   * the API server's CoordinatedLeaderElection; without it one error says so, and the lease is claimed as usual. Each coordinated
   * election has an identity of its own. Default: none, the first candidate leads.
   */
  coordinated?: CoordinatedOptions | undefined;
}

/** Options that must be known before any factory runs. */
export interface LeaderElectionModuleExtras {
  /** Tells several elections of one application apart. Default `'default'`. */
  name?: string | undefined;
  /** Makes `LeaderService` and the other providers injectable in all modules. Default true. */
  isGlobal?: boolean | undefined;
}

/** For `useClass` and `useExisting`. */
export interface LeaderElectionOptionsFactory {
  createLeaderElectionOptions(): LeaderElectionModuleOptions | Promise<LeaderElectionModuleOptions>;
}

/** Options that are created when the application starts. Exactly one of `useFactory`, `useClass`, `useExisting`. */
export interface LeaderElectionModuleAsyncOptions extends LeaderElectionModuleExtras {
  imports?: ModuleMetadata['imports'] | undefined;
  inject?: FactoryProvider['inject'] | undefined;
  useFactory?:
    // The instances that `inject` names, whose types TypeScript cannot infer; as in Nest's own modules.
    // eslint-disable-next-line @typescript-eslint/no-explicit-any
    | ((...dependencies: any[]) => LeaderElectionModuleOptions | Promise<LeaderElectionModuleOptions>)
    | undefined;
  useClass?: Type<LeaderElectionOptionsFactory> | undefined;
  useExisting?: Type<LeaderElectionOptionsFactory> | undefined;
}
