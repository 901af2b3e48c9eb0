import { Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { TerminusModule } from '@nestjs/terminus';
import { LeaderElectionModule } from 'nestjs-leader';
import { prometheusMetrics } from 'nestjs-leader/metrics';
import { HealthController } from './health.controller.js';
import { InvoicesController } from './invoices.controller.js';
import { InvoicesService } from './invoices.service.js';
import { LeaderController } from './leader.controller.js';
import { MetricsController } from './metrics.controller.js';
import { ReplicaReport } from './replica-report.js';
import { settings } from './settings.js';

@Module({
  imports: [
    ScheduleModule.forRoot(),
    TerminusModule.forRoot({ logger: false }),
    LeaderElectionModule.forRootAsync({
      useFactory: () => ({ ...settings().election, metrics: prometheusMetrics() }),
    }),
  ],
  controllers: [HealthController, LeaderController, InvoicesController, MetricsController],
  providers: [InvoicesService, ReplicaReport],
})
export class AppModule {}
