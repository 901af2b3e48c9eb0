/** Pods with statuses as a kubelet writes them, and what a holder in such a pod writes about its process. */
import { textOf, type HolderProcess } from '../../../lib/election/internal.js';

/** A process that started at 10:00:05 in the container `app` of the pod `shop/billing-1`. */
export const holder: HolderProcess = {
  podUid: 'u1',
  pod: 'shop/billing-1',
  container: 'app',
  instance: { boot: 'b1', start: 4_711 },
  containerId: 'containerd://c1',
  startedOn: Date.parse('2026-01-01T10:00:05Z') / 1_000,
};

export const holderText = textOf(holder);

export interface Terminated {
  readonly containerID?: string;
  readonly exitCode: number;
  readonly reason?: string;
  readonly startedAt?: string | null;
  readonly finishedAt?: string | null;
}

/** The end of the container of {@link holder}. */
export const killed: Terminated = {
  containerID: 'containerd://c1',
  exitCode: 137,
  reason: 'OOMKilled',
  startedAt: '2026-01-01T10:00:05Z',
  finishedAt: '2026-01-01T11:00:00Z',
};

export const running = { running: { startedAt: '2026-01-01T10:00:05Z' } };

/** The status of the container `app`. */
export function statusOf(
  state: object,
  rest: { readonly containerID?: string; readonly lastState?: object } = {},
): object {
  const { containerID = 'containerd://c1', lastState = {} } = rest;
  return {
    name: 'app',
    image: 'registry.example/app:1',
    imageID: 'registry.example/app@sha256:0',
    ready: 'running' in state,
    started: 'running' in state,
    restartCount: 0,
    state,
    lastState,
    containerID,
  };
}

/** A Pod as an API server shows it. */
export function podOf(
  containerStatuses: readonly object[],
  { metadata = {}, status = {} }: { readonly metadata?: object; readonly status?: object } = {},
): object {
  return {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: { name: 'billing-1', namespace: 'shop', uid: 'u1', resourceVersion: '7', ...metadata },
    spec: { nodeName: 'n1', restartPolicy: 'Always', containers: [{ name: 'app', image: 'app:1' }] },
    status: { phase: 'Running', containerStatuses, ...status },
  };
}
