/**
 * A replica of the process tests: an application as a user would write it, which reports like the sample application and
 * carries out the commands of its test. Its options come as JSON in ELECTION, and its path to the API server in KUBECONFIG.
 * SHUTDOWN_HOOKS can be `off`.
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
if (process.env['SHUTDOWN_HOOKS'] !== 'off') app.enableShutdownHooks();
