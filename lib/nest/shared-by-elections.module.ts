import { Module } from '@nestjs/common';
import { ElectionGroup } from './election-group.js';
import { KubernetesConnections } from './kubernetes-connections.js';

/**
 * What the elections of one application share. One per application, because it has no options: Nest makes a module once
 * that is imported as a class.
 */
@Module({
  providers: [KubernetesConnections, ElectionGroup],
  exports: [KubernetesConnections, ElectionGroup],
})
export class SharedByElectionsModule {}
