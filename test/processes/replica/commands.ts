import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { LeaderService } from 'nestjs-leader';
import { GatedJobs } from './gated-jobs.js';
import { machineNow, tell, type ReplicaCommand } from './messages.js';

const LOOK_EVERY_MS = 1;

/** Obeys the test. */
@Injectable()
export class Commands implements OnApplicationBootstrap {
  constructor(
    private readonly jobs: GatedJobs,
    private readonly leader: LeaderService,
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
    }
  }

  /** Looks once at the end in any case, before anything else in this process has had its turn. */
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

  #look(): void {
    const at = machineNow();
    tell({ type: 'looked', at, leads: this.leader.isLeader() });
  }
}
