import { Controller, Post } from '@nestjs/common';
import { OnlyWhenLeader } from 'nestjs-leader';
import { InvoicesService } from './invoices.service.js';

@Controller('invoices')
export class InvoicesController {
  constructor(private readonly invoices: InvoicesService) {}

  /** On a follower the answer is 503, with the leader. */
  @Post()
  @OnlyWhenLeader()
  send(): object {
    return this.invoices.sendNow();
  }
}
