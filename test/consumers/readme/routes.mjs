// The controllers of docs/api.md beside the application of the README, asked by HTTP once it leads.
import { NestFactory } from '@nestjs/core';
import { LeaderService } from 'nestjs-leader';
import { AppModule } from './dist/app.module.js';
import { MonitoringModule } from './dist/monitoring.module.js';

const app = await NestFactory.create({ module: class Root {}, imports: [AppModule, MonitoringModule] });
await app.listen(0, '127.0.0.1');
await app.get(LeaderService).whenLeader();
for (const route of ['health', 'leader']) {
  const response = await fetch(`${await app.getUrl()}/${route}`);
  console.log(route, response.status, await response.text());
}
await app.close();
