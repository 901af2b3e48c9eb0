import type { Candidate } from './candidate.js';
import type { podFaultKinds } from './fault-kinds.js';
import type { Fleet } from './fleet.js';
import { LONGEST_REPORT_MS, type ContainerRun, type Node, type Pod } from './pods.js';

type PodFaultKind = (typeof podFaultKinds)[number];

/** The shortest time in which a kubelet starts a container again. */
const SHORTEST_RESTART_MS = 100;
/** For how long nothing is known of a container that has started again, where its kubelet falls silent. */
const LONGEST_SILENCE_MS = 20_000;

/** Injects the faults of pods and nodes: processes die with them, start again, and are reported late, wrongly or never. */
export class PodAdversary {
  readonly #fleet: Fleet;
  readonly #isLive: (kind: PodFaultKind) => boolean;

  constructor(fleet: Fleet, isLive: (kind: PodFaultKind) => boolean) {
    this.#fleet = fleet;
    this.#isLive = isLive;
  }

  /** @returns false if this fault cannot strike. */
  strike(kind: PodFaultKind, victim: Candidate, forMs: number): boolean {
    const { chance } = this.#fleet.time;
    const { cluster } = this.#fleet;
    const pod = chance.happens(0.5) ? victim.run.pod : chance.oneOf(cluster.pods);
    switch (kind) {
      case 'containerRestarted':
        return this.#restartContainer(victim, forMs / 4);
      case 'processDiesAlone':
        return this.#restartProcess(victim, forMs / 4);
      case 'podDeleted':
        return this.#delete(victim.run.pod, forMs);
      case 'podPhaseSet':
        return this.#setPhase(pod);
      case 'kubeletGuesses':
        if (!pod.isRunning) return false;
        this.#fleet.log(`the kubelet guesses that the container of ${pod.name} has ended`);
        pod.guess(forMs);
        return true;
      case 'kubeletSilent':
        this.#silence(pod.node, forMs);
        return true;
      case 'nodeRebooted':
        this.#reboot(victim.run.pod.node, forMs / 4);
        return true;
      case 'nodeClockSet':
        this.#setClock(pod.node);
        return true;
    }
  }

  /** The container ends, by a kill or by an exit of its processes, and the kubelet starts it again. */
  #restartContainer({ run }: Candidate, delayMs: number): boolean {
    const { time } = this.#fleet;
    const { pod } = run;
    if (!pod.traits.restarts || pod.isDeleted) return false;
    const members = this.#fleet.membersOf(run);
    const exits = time.chance.happens(0.4) && members.every(({ loop }) => loop.liveness === 'running');
    this.#fleet.log(`the container of ${pod.name} ${exits ? 'exits' : 'is killed'}`);
    const exitMs = exits ? time.chance.skewed(1_000) : 0;
    if (exits) for (const member of members) member.exit(exitMs);
    this.#fleet.later(exitMs, () => {
      this.#fleet.killContainer(run);
      const backOffMs = time.chance.happens(0.5) ? LONGEST_REPORT_MS + delayMs : delayMs;
      this.#whileItIsDown(pod, backOffMs);
      this.#startAgainLater([pod], members, SHORTEST_RESTART_MS + backOffMs);
    });
    return true;
  }

  /** What else may happen between two instances of a container: what was reported last then stays for a while. */
  #whileItIsDown(pod: Pod, forMs: number): void {
    const { chance } = this.#fleet.time;
    if (this.#isLive('nodeClockSet') && chance.happens(0.3)) this.#setClock(pod.node);
    this.#fleet.later(forMs, () => {
      if (this.#isLive('podPhaseSet') && chance.happens(0.3)) this.#setPhase(pod);
      if (this.#isLive('kubeletSilent') && chance.happens(0.3))
        this.#silence(pod.node, chance.between(0, LONGEST_SILENCE_MS));
    });
  }

  /** The process dies alone, and its process manager starts it again in the same instance of the container. */
  #restartProcess(victim: Candidate, delayMs: number): boolean {
    const { run } = victim;
    if (!run.pod.traits.isManaged) return false;
    this.#fleet.log(`${victim.name} is killed, alone in its container`);
    victim.kill();
    const identity = this.#fleet.time.chance.happens(0.5) ? victim.identity : undefined;
    this.#fleet.later(delayMs, () => {
      if (run.isRunning) this.#fleet.start({ identity, run });
    });
    return true;
  }

  /** The pod is deleted by force. Its processes are killed at once, later or never, and a new pod may get its name. */
  #delete(pod: Pod, forMs: number): boolean {
    const fleet = this.#fleet;
    const { chance } = fleet.time;
    if (pod.isDeleted) return false;
    const members = fleet.membersOf(pod.run);
    pod.delete();
    const when = chance.oneOf(['at once', 'later', 'never'] as const);
    fleet.log(`${pod.name} is deleted, and its processes are killed ${when}`);
    if (when === 'at once') fleet.killContainer(pod.run);
    if (when === 'later')
      fleet.later(forMs, () => {
        fleet.killContainer(pod.run);
      });
    if (chance.happens(0.3)) return true;
    const identity = when === 'at once' && chance.happens(0.5) ? members[0]?.identity : undefined;
    fleet.later(chance.between(0, forMs), () => {
      const { run } = fleet.cluster.createPod(pod.traits, pod.name);
      fleet.start({ identity, run });
    });
    return true;
  }

  #setPhase(pod: Pod): boolean {
    const phase = this.#fleet.time.chance.oneOf(['Failed', 'Succeeded'] as const);
    this.#fleet.log(`somebody sets the phase of ${pod.name} to ${phase}`);
    pod.setPhase(phase);
    return true;
  }

  #silence(node: Node, forMs: number): void {
    const { now, chance } = this.#fleet.time;
    const ms = chance.happens(0.2) ? Number.POSITIVE_INFINITY : forMs;
    this.#fleet.log(`the kubelet of ${node.name} is silent for ${ms.toFixed(0)} ms`);
    node.silentUntil = now + ms;
  }

  #setClock(node: Node): void {
    const byMs = node.stepClock(this.#fleet.cluster.youngestOn(node));
    this.#fleet.log(`the clock of ${node.name} is set by ${byMs.toFixed(0)} ms`);
  }

  /** All processes of the node die, and its containers start again after the boot. */
  #reboot(node: Node, delayMs: number): void {
    const fleet = this.#fleet;
    fleet.log(`${node.name} starts again`);
    const pods = fleet.cluster.pods.filter((pod) => pod.node === node && pod.isRunning);
    const members = pods.flatMap(({ run }) => fleet.membersOf(run));
    node.reboot();
    for (const pod of pods) {
      pod.rebooted();
      fleet.killContainer(pod.run);
    }
    const again = pods.filter(({ traits, isDeleted }) => traits.restarts && !isDeleted);
    this.#startAgainLater(again, members, SHORTEST_RESTART_MS + delayMs);
  }

  /** Starts the containers of these pods again, with as many processes as they had, of the same or other identities. */
  #startAgainLater(pods: readonly Pod[], members: readonly Candidate[], delayMs: number): void {
    const { chance } = this.#fleet.time;
    this.#fleet.later(delayMs, () => {
      for (const pod of pods) {
        if (pod.isRunning) continue;
        const run: ContainerRun = pod.startAgain();
        for (const member of members.filter((one) => one.run.pod === pod))
          this.#fleet.start({ identity: chance.happens(0.5) ? member.identity : undefined, run });
      }
    });
  }
}
