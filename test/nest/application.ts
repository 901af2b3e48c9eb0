/** Nest applications whose election a test decides. */
import type { INestApplication, ModuleMetadata, Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import type { ScriptedElector } from '../../lib/election/index.js';
import { getElectorToken } from '../../lib/index.js';
import { LeaderElectionTestingModule } from '../../lib/testing.js';

export interface Tested {
  readonly app: INestApplication;
  readonly elector: ScriptedElector;
}

/** An initialized application with a scripted election and the given metadata. It follows until `elector.grant()`. */
export async function applicationWith(metadata: ModuleMetadata): Promise<Tested> {
  const module = await Test.createTestingModule({
    ...metadata,
    imports: [LeaderElectionTestingModule.forRoot(), ...(metadata.imports ?? [])],
  }).compile();
  const app = module.createNestApplication({ logger: false });
  await app.init();
  return { app, elector: app.get<ScriptedElector>(getElectorToken()) };
}

/** An application with these providers. */
export function applicationOf(...providers: Type[]): Promise<Tested> {
  return applicationWith({ providers });
}
