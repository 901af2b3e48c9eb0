import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { Inject, Injectable, Optional, type OnApplicationBootstrap } from '@nestjs/common';
import { LeaderService } from 'nestjs-leader';
import { countAll } from './counts.js';
import { GatedJobs } from './gated-jobs.js';
import { machineNow, tell, type Death, type Leak, type ReplicaCommand } from './messages.js';
import type { RegisterChanges } from './register-changes.js';

const LOOK_EVERY_MS = 1;
const MIB = 2 ** 20;

/** Nest's token of {@link RegisterChanges}, which a replica has only if its test wants it to. */
export const REGISTERS = 'REGISTERS';

/** Carries out the commands of the test. */
@Injectable()
export class Commands implements OnApplicationBootstrap {
  readonly #leaked = { signal: new AbortController().signal, objects: [] as unknown[] };

  constructor(
    private readonly jobs: GatedJobs,
    private readonly leader: LeaderService,
    @Optional() @Inject(REGISTERS) private readonly registers?: RegisterChanges,
  ) {}

  onApplicationBootstrap(): void {
    process.on('message', (command) => {
      this.#obey(command as ReplicaCommand);
    });
  }

  #obey(command: ReplicaCommand): void {
    switch (command.do) {
      case 'work':
        void this.jobs.work(command.drainMs);
        return;
      case 'block':
        this.#block(command.ms, command.looking);
        return;
      case 'die':
        if (command.afterMs !== undefined) this.#block(command.afterMs, false);
        this.#die(command.how);
        return;
      case 'exitAtAbort':
        this.#exitAtAbort();
        return;
      case 'stopAfterClaim':
        this.registers?.stopAfterClaim();
        return;
      case 'stepDown':
        void this.leader.stepDown();
        return;
      case 'measure':
        void this.#measure();
        return;
      case 'leak':
        this.#leak(command.what);
    }
  }

  /** Always checks once at the end, before anything else in this process gets its turn. */
  #block(ms: number, looking: boolean): void {
    const from = machineNow();
    let lookedAt = from;
    while (machineNow() < from + ms) {
      if (!looking || machineNow() < lookedAt + LOOK_EVERY_MS) continue;
      lookedAt = machineNow();
      this.#look();
    }
    this.#look();
    tell({ type: 'blocked', from, until: machineNow() });
  }

  async #measure(): Promise<void> {
    const counts = await countAll();
    tell({ type: 'measured', at: machineNow(), counts });
  }

  #leak(what: Leak): void {
    switch (what) {
      case 'processListeners':
        process.on('SIGUSR2', () => undefined);
        return;
      case 'signalListeners':
        this.#leaked.signal.addEventListener('abort', () => undefined);
        return;
      case 'sockets':
        this.#leaked.objects.push(new Socket());
        return;
      case 'timers':
        this.#leaked.objects.push(setTimeout(() => undefined, 2 ** 30).unref());
        return;
      case 'heap':
        this.#leaked.objects.push(Array.from({ length: MIB / 8 }, (_, index) => index + 0.5));
    }
  }

  /** The last line of its log says whether code that runs after the crash is told that it leads. */
  #die(how: Death): void {
    process.on('exit', () => {
      writeSync(2, `leads at exit: ${String(this.leader.isLeader())}\n`);
    });
    const fault = new Error(`died by its own fault: ${how}`);
    if (how === 'exit') process.exit(3);
    if (how === 'exception') throw fault;
    void Promise.reject(fault);
  }

  #exitAtAbort(): void {
    this.leader.term?.signal.addEventListener('abort', () => {
      process.exitCode = 7;
      process.exit();
    });
  }

  #look(): void {
    const at = machineNow();
    tell({ type: 'looked', at, leads: this.leader.isLeader() });
  }
}
