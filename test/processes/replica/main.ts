/**
 * One replica of the process tests: an application as a user would write it, which reports as the sample application does and
 * obeys the test that started it. Its election's options come as JSON in ELECTION, its way to the API server as KUBECONFIG.
 */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ScheduleModule } from '@nestjs/schedule';
import { LeaderElectionModule, type LeaderElectionModuleOptions } from 'nestjs-leader';
import { ReplicaReport } from '../../../sample-app/replica-report.js';
import { Commands } from './commands.js';
import { GatedJobs } from './gated-jobs.js';

@Module({
  imports: [
    ScheduleModule.forRoot(),
    LeaderElectionModule.forRootAsync({
      useFactory: () => JSON.parse(process.env['ELECTION'] ?? '{}') as LeaderElectionModuleOptions,
    }),
  ],
  providers: [GatedJobs, ReplicaReport, Commands],
})
class ReplicaModule {}

const app = await NestFactory.createApplicationContext(ReplicaModule);
app.enableShutdownHooks();
