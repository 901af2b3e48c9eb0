import { Controller, Get } from '@nestjs/common';
import { LeaderService } from 'nestjs-leader';

@Controller('leader')
export class LeaderController {
  constructor(private readonly leader: LeaderService) {}

  @Get()
  who(): object {
    return {
      isLeader: this.leader.isLeader(),
      leader: this.leader.getLeader(),
      identity: this.leader.identity,
      term: this.leader.term?.toJSON() ?? null,
    };
  }
}
