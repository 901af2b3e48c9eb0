import { DURATION, fieldsOf, labelViolations, show } from '../../election/internal.js';

/** When the lease of a holder that was killed, so that it could not release it, is taken over. */
export type TakeoverOption = 'expiry' | 'sameContainer' | 'podStatus';

/** Options for what an election does in its cluster apart from keeping its Lease. They have no effect with `enabled: false`. */
export interface ClusterOptions {
  /**
   * Write a Kubernetes Event on the Lease when a term of this process starts and when it ends: `<identity> became leader`,
   * `<identity> stopped leading`. Needs `create` on events in the Lease's namespace. Never waited for. Default false.
   */
  events?: boolean | undefined;
  /**
   * Labels of the leader's Pod, so that a Service can select it. They are set before the term's work starts, and removed before
   * the lease is released; the election waits for either at most `retryPeriod`. Needs `patch` on pods in the pod's namespace. The
   * Pod's name is `POD_NAME`, else the host's name. Use keys that neither the pod template nor another election of the
   * application uses. Default: none.
   */
  leaderPodLabels?: Readonly<Record<string, string>> | undefined;
  /**
   * The owner of the Lease, for example a Deployment: the Lease is deleted with it. Set when the Lease is created, and only then.
   * It must be in the Lease's namespace. Not a Pod or a ReplicaSet: they are deleted while the Lease is needed. Default: none.
   */
  ownerReference?:
    | { readonly apiVersion: string; readonly kind: string; readonly name: string; readonly uid: string }
    | undefined;
  /**
   * Check at start whether this process has the permissions that its options need. `warn`: one log line and one `error` event name
   * all missing verbs and the Role rules that grant them. `fail`: the application does not start if one is missing; it does start
   * if the API server cannot be asked. Default `'warn'`.
   */
  preflight?: 'warn' | 'fail' | 'off' | undefined;
  /**
   * Release the lease also when the process exits without a shutdown: by an uncaught exception, an unhandled rejection,
   * `process.exit()`, or a signal that nothing listens for. False if work of a term runs in other threads or processes that outlive the
   * exit. No effect with `releaseOnCancel: false`, nor in a coordinated election. Default true.
   */
  releaseAtExit?: boolean | undefined;
  /**
   * Judge how old a lease is when this process first sees it, by the clocks of the API servers, which may differ by this many
   * milliseconds. So when all replicas were gone for a while, the new ones do not wait for a lease that ran out long ago. If
   * the clocks differ by more, or an API server is restored from a backup, two processes may lead at once. Default: a lease is
   * waited out from when it is first seen.
   */
  serverClockMargin?: number | undefined;
  /**
   * When another process takes over the lease of a holder that was killed (SIGKILL, out of memory), so that it could not release it.
   * `expiry`: when the lease has expired. `sameContainer`: at once, if this process runs in the same container of the same pod, which
   * has restarted; both note on the Lease which process they are. `podStatus`: also when the status of the holder's pod says that its
   * container has terminated; needs `watch` on pods in the pods' namespace. In all other cases when the lease has expired. Default
   * `'sameContainer'`; in a coordinated election `'expiry'`, and the others are refused.
   */
  takeover?: TakeoverOption | undefined;
}

const TAKEOVERS: readonly unknown[] = ['expiry', 'sameContainer', 'podStatus'] satisfies TakeoverOption[];

/** One sentence for each broken rule. */
export function clusterViolations(options: ClusterOptions): string[] {
  const { events, leaderPodLabels, ownerReference, preflight, releaseAtExit } = options;
  const { takeover, serverClockMargin } = options;
  const [isDuration, durationRule] = DURATION;
  return [
    ...flagViolations('events', events),
    ...flagViolations('releaseAtExit', releaseAtExit),
    ...(leaderPodLabels === undefined ? [] : podLabelViolations(leaderPodLabels)),
    ...(ownerReference === undefined ? [] : ownerViolations(ownerReference)),
    ...(preflight === undefined || ['warn', 'fail', 'off'].includes(preflight)
      ? []
      : [`preflight is ${show(preflight)}: it must be 'warn', 'fail' or 'off'`]),
    ...(serverClockMargin === undefined || isDuration(serverClockMargin)
      ? []
      : [`serverClockMargin is ${show(serverClockMargin)}: ${durationRule}`]),
    ...(takeover === undefined || TAKEOVERS.includes(takeover)
      ? []
      : [`takeover is ${show(takeover)}: it must be 'expiry', 'sameContainer' or 'podStatus'`]),
  ];
}

/** The rule that an option breaks which must be true or false. */
export function flagViolations(name: string, value: unknown): string[] {
  if (value === undefined || typeof value === 'boolean') return [];
  return [`${name} is ${show(value)}: it must be true or false`];
}

/** Labels that controllers set on their pods, and select them by. */
const ofControllers: readonly string[] = [
  'pod-template-hash',
  'pod-template-generation',
  'controller-revision-hash',
  'controller-uid',
  'job-name',
];
const ofControllersDomains =
  /^(apps|batch|statefulset|jobset\.sigs|leaderworkerset\.sigs)\.(kubernetes\.io|k8s\.io)\//;

/** A follower would remove these labels from its pod, and its controller would no longer find the pod. */
function podLabelViolations(labels: unknown): string[] {
  return [
    ...labelViolations('leaderPodLabels', labels),
    ...Object.keys(fieldsOf(labels) ?? {})
      .filter((key) => ofControllers.includes(key) || ofControllersDomains.test(key))
      .map(
        (key) =>
          `leaderPodLabels has the key '${key}': a controller selects its pods by this label, and would replace a pod that ` +
          `loses it; choose another key`,
      ),
  ];
}

const OWNER_FIELDS = ['apiVersion', 'kind', 'name', 'uid'];
/** Every rollout deletes objects of these kinds, and the Lease of the present leader with them. */
const SHORT_LIVED = ['Pod', 'ReplicaSet'];

function ownerViolations(owner: unknown): string[] {
  const given = fieldsOf(owner);
  if (given === undefined) {
    return [`ownerReference is ${show(owner)}: it must be an object with apiVersion, kind, name and uid`];
  }
  const isText = (field: string): boolean => typeof given[field] === 'string' && given[field] !== '';
  return [
    ...OWNER_FIELDS.filter((field) => !isText(field)).map(
      (field) => `ownerReference.${field} is ${show(given[field])}: it must be a non-empty string`,
    ),
    ...Object.keys(given)
      .filter((field) => !OWNER_FIELDS.includes(field))
      .map(
        (field) =>
          `ownerReference.${field}: there is no such field; the fields are ${OWNER_FIELDS.join(', ')}`,
      ),
    ...SHORT_LIVED.filter((kind) => given['kind'] === kind).map(
      (kind) =>
        `ownerReference.kind is '${kind}': a rollout deletes its objects, and the Lease with them while another replica ` +
        `leads; name the Deployment or the StatefulSet`,
    ),
  ];
}
