import { Module } from '@nestjs/common';
import { ElectionGroup } from './election-group.js';
import { KubernetesConnections } from './kubernetes-connections.js';

/**
 * Provides what the elections of one application share. One per application: Nest creates a module that is imported as a class only
 * once.
 */
@Module({
  providers: [KubernetesConnections, ElectionGroup],
  exports: [KubernetesConnections, ElectionGroup],
})
export class SharedByElectionsModule {}
