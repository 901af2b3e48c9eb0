import { Injectable } from '@nestjs/common';
import { LeaderService, OnlyWhenLeader, currentTerm } from 'nestjs-leader';

@Injectable()
export class MailsService {
  constructor(private readonly leader: LeaderService) {}

  @OnlyWhenLeader()
  send(customer: string): string {
    return `${customer} by ${this.leader?.identity ?? 'nobody'}, token ${currentTerm().fencingToken}`;
  }
}
