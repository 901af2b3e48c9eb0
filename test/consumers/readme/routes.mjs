// What docs/api.md shows beside the application of the README, asked by HTTP once it leads.
import { NestFactory } from '@nestjs/core';
import { LeaderService } from 'nestjs-leader';
import { AppModule } from './dist/app.module.js';
import { HealthModule } from './dist/health.module.js';
import { LeaderController } from './dist/leader.controller.js';
import { MailQueue } from './dist/mail-queue.js';
import { News } from './dist/news.js';

const app = await NestFactory.create({
  module: class Root {},
  imports: [AppModule, HealthModule],
  controllers: [LeaderController],
  providers: [MailQueue, News],
});
await app.listen(0, '127.0.0.1');
await app.get(LeaderService).whenLeader();
for (const route of ['health', 'leader']) {
  const response = await fetch(`${await app.getUrl()}/${route}`);
  console.log(route, response.status, await response.text());
}
await app.close();
