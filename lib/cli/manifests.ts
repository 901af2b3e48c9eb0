import { EVENTS, LEASES, LEASE_CANDIDATES, PODS, WATCHED_PODS, ruleFor } from '../kubernetes/internal.js';
import type { ElectionGiven } from './election-flags.js';

/** What a manifest depends on besides the election. */
export interface ManifestOptions {
  readonly name: string;
  /** Undefined: objects without a namespace, for `kubectl apply -n`. */
  readonly namespace: string | undefined;
  readonly coordinated: boolean;
}

/** What a Deployment depends on. */
export interface DeploymentOptions extends ManifestOptions {
  readonly image: string;
  readonly replicas: number;
  readonly port: number;
}

/** A ServiceAccount that may do what the election needs, as YAML. */
export function rbacManifest(election: ElectionGiven, options: ManifestOptions): string {
  return documents(accountAndRole(election, options));
}

/** All objects of an application with an election, as YAML. */
export function applicationManifest(election: ElectionGiven, options: DeploymentOptions): string {
  const { leaderPodLabels } = election;
  return documents([
    ...accountAndRole(election, options),
    deployment(election, options),
    disruptionBudget(options),
    ...(Object.keys(leaderPodLabels).length > 0 ? [leaderService(election, options)] : []),
  ]);
}

function documents(objects: readonly string[]): string {
  return `${objects.join('\n---\n')}\n`;
}

function accountAndRole(election: ElectionGiven, options: ManifestOptions): string[] {
  const { name } = options;
  const roleName = `${name}-leader`;
  const isLabelled = Object.keys(election.leaderPodLabels).length > 0;
  const rules = [
    ruleFor(LEASES, election.leases),
    ...(options.coordinated ? [ruleFor(LEASE_CANDIDATES, [])] : []),
    ...(election.events ? [ruleFor(EVENTS, [])] : []),
    ...(isLabelled ? [ruleFor(PODS, [])] : []),
    ...(election.watchesPods ? [ruleFor(WATCHED_PODS, [])] : []),
  ];
  const account = head('v1', 'ServiceAccount', name, options);
  const role = `${head('rbac.authorization.k8s.io/v1', 'Role', roleName, options)}
rules:
${rules.join('\n')}`;
  const namespaceOfAccount =
    options.namespace === undefined ? '' : `\n    namespace: ${text(options.namespace)}`;
  const binding = `${head('rbac.authorization.k8s.io/v1', 'RoleBinding', roleName, options)}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: ${text(roleName)}
subjects:
  - kind: ServiceAccount
    name: ${text(name)}${namespaceOfAccount}`;
  return [account, role, binding];
}

function deployment(election: ElectionGiven, options: DeploymentOptions): string {
  const { name, image, replicas, port } = options;
  const needsPodName = Object.keys(election.leaderPodLabels).length > 0 || election.watchesPods;
  const env = needsPodName
    ? `
          env:
            - name: POD_NAME
              valueFrom: { fieldRef: { fieldPath: metadata.name } }`
    : '';
  const probe = (kind: string): string => `
          ${kind}:
            httpGet: { path: /health, port: ${String(port)} }`;
  return `${head('apps/v1', 'Deployment', name, options)}
spec:
  replicas: ${String(replicas)}
  strategy:
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  selector:
    matchLabels: { app: ${text(name)} }
  template:
    metadata:
      labels: { app: ${text(name)} }
    spec:
      serviceAccountName: ${text(name)}
      terminationGracePeriodSeconds: ${String(gracePeriodSeconds(election))} # above ${graceSum(election)}
      containers:
        - name: ${text(name)}
          image: ${text(image)}
          command: ['node', 'dist/main.js'] # node itself, so that it gets SIGTERM${env}
          ports:
            - containerPort: ${String(port)}${probe('livenessProbe')}${probe('readinessProbe')}`;
}

function disruptionBudget(options: ManifestOptions): string {
  return `${head('policy/v1', 'PodDisruptionBudget', options.name, options)}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: { app: ${text(options.name)} }`;
}

function leaderService({ leaderPodLabels }: ElectionGiven, options: DeploymentOptions): string {
  const selector = Object.entries({ app: options.name, ...leaderPodLabels }).map(
    ([key, value]) => `${text(key)}: ${text(value)}`,
  );
  return `${head('v1', 'Service', `${options.name}-leader`, options)}
spec:
  selector: { ${selector.join(', ')} }
  ports:
    - port: 80
      targetPort: ${String(options.port)}`;
}

function head(apiVersion: string, kind: string, name: string, { namespace }: ManifestOptions): string {
  const where = namespace === undefined ? '' : `\n  namespace: ${text(namespace)}`;
  return `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata:\n  name: ${text(name)}${where}`;
}

/** Not a second more than needed would do only if nothing else took time. */
const SPARE_SECONDS = 10;

function gracePeriodSeconds({ options, leaderPodLabels }: ElectionGiven): number {
  const isLabelled = Object.keys(leaderPodLabels).length > 0;
  const needed = options.drainTimeout + options.renewDeadline + (isLabelled ? options.retryPeriod : 0);
  return Math.ceil((needed / 1_000 + SPARE_SECONDS) / 5) * 5;
}

function graceSum({ leaderPodLabels }: ElectionGiven): string {
  const isLabelled = Object.keys(leaderPodLabels).length > 0;
  return `drainTimeout + renewDeadline${isLabelled ? ' + retryPeriod (for leaderPodLabels)' : ''}`;
}

/** Text as YAML: in quotes unless it is plainly a word. `true`, `123`, `1e3`, `null` or `~` would be no text. */
function text(value: string): string {
  const isWord = /^[A-Za-z][\w.-]*([/:@][\w.-]+)*$/.test(value);
  return isWord && !/^(true|false|yes|no|on|off|null|y|n)$/i.test(value) ? value : JSON.stringify(value);
}
