/**
 * A replica of the process tests: an application as a user would write it, which reports like the sample application and
 * carries out the commands of its test. Its options come as JSON in ELECTION, and its path to the API server in KUBECONFIG.
 * SHUTDOWN_HOOKS can be `off`. With REGISTERS, it works on registers in a database and writes a history.
 */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ScheduleModule } from '@nestjs/schedule';
import { LeaderElectionModule, type LeaderElectionModuleOptions } from 'nestjs-leader';
import { ReplicaReport } from '../../../sample-app/replica-report.js';
import { Commands, REGISTERS } from './commands.js';
import { GatedJobs } from './gated-jobs.js';

// Loaded only if it is needed, because it loads a database.
const registers =
  process.env['REGISTERS'] === undefined
    ? []
    : [{ provide: REGISTERS, useClass: (await import('./register-changes.js')).RegisterChanges }];

@Module({
  imports: [
    ScheduleModule.forRoot(),
    LeaderElectionModule.forRootAsync({
      useFactory: () => JSON.parse(process.env['ELECTION'] ?? '{}') as LeaderElectionModuleOptions,
    }),
  ],
  providers: [GatedJobs, ReplicaReport, Commands, ...registers],
})
class ReplicaModule {}

const app = await NestFactory.createApplicationContext(ReplicaModule);
if (process.env['SHUTDOWN_HOOKS'] !== 'off') app.enableShutdownHooks();
