import {
  isEarlierInstance,
  isReportedDead,
  ownContainerId,
  processOf,
  textOf,
  type Disposer,
  type HolderProcess,
  type ProofOfDeath,
} from '../../election/internal.js';
import type { Cluster } from './pods.js';

/** By what a process takes over: the option of that name. */
export type Takeover = 'expiry' | 'sameContainer' | 'podStatus';

/** What a simulated process can learn about others, and notes about itself. */
export class SimulatedProof implements ProofOfDeath {
  readonly #cluster: Cluster;
  readonly #watchesPods: boolean;
  readonly #deliver: (callback: () => void) => void;
  #own: HolderProcess | undefined;
  #text: string | undefined;
  #ignoreOwnPod: Disposer = () => undefined;

  /** @param own undefined if the process is not certain of its pod and container. */
  constructor(
    own: HolderProcess | undefined,
    parts: {
      readonly cluster: Cluster;
      readonly watchesPods: boolean;
      readonly deliver: (callback: () => void) => void;
    },
  ) {
    this.#cluster = parts.cluster;
    this.#watchesPods = parts.watchesPods;
    this.#deliver = parts.deliver;
    this.#own = own;
    this.#text = own && textOf(own);
    if (own?.pod !== undefined && parts.watchesPods) this.#learnContainerId(own, own.pod);
  }

  get self(): string | undefined {
    return this.#text;
  }

  follow(process: string, gone: () => void): Disposer {
    const holder = processOf(process);
    if (holder === undefined) return () => undefined;
    if (this.#own !== undefined && isEarlierInstance(holder, this.#own)) gone();
    if (holder.pod === undefined || !this.#watchesPods) return () => undefined;
    return this.#cluster.watch(holder.pod, this.#deliver, (pod) => {
      if (isReportedDead(holder, pod)) gone();
    });
  }

  /** The process is dead. */
  end(): void {
    this.#ignoreOwnPod();
  }

  #learnContainerId(own: HolderProcess, path: string): void {
    this.#ignoreOwnPod = this.#cluster.watch(path, this.#deliver, (pod) => {
      const containerId = ownContainerId(own, pod);
      if (containerId === undefined) return;
      this.#ignoreOwnPod();
      this.#own = { ...own, containerId };
      this.#text = textOf(this.#own);
    });
  }
}
