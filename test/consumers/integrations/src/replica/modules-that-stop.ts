/** Neighbours of the election, which tell of each hook and of who holds the lease by then. */
import {
  Injectable,
  Module,
  type BeforeApplicationShutdown,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import { tell, type Setup } from './setup.js';

export const setup = JSON.parse(process.env['SETUP'] ?? '{}') as Setup;

/** Read from the API server, past the election. */
async function holder(): Promise<unknown> {
  const { kubernetes, leaseName } = setup.election;
  const server = kubernetes !== undefined && 'server' in kubernetes ? kubernetes.server : '';
  const reply = await fetch(`${server}/apis/coordination.k8s.io/v1/namespaces/default/leases/${leaseName}`, {
    headers: { authorization: 'Bearer reader' },
  });
  const lease = (await reply.json()) as { spec?: { holderIdentity?: string } };
  return lease.spec?.holderIdentity;
}

class Neighbour implements OnModuleDestroy, BeforeApplicationShutdown, OnApplicationShutdown {
  isOpen = true;

  constructor(private readonly at: 'root' | 'imported') {}

  async onModuleDestroy(): Promise<void> {
    this.isOpen = false;
    if (setup.throwsIn === this.at) {
      tell('throws', { at: this.at });
      throw new Error(`planted in ${this.at}`);
    }
    tell('onModuleDestroy', { at: this.at, holder: await holder() });
  }

  beforeApplicationShutdown(): void {
    tell('beforeApplicationShutdown', { at: this.at });
  }

  onApplicationShutdown(): void {
    tell('onApplicationShutdown', { at: this.at });
  }
}

/** What gated work needs: it must be open until that has drained. */
@Injectable()
export class Database extends Neighbour {
  constructor() {
    super('imported');
  }
}

@Module({ providers: [Database], exports: [Database] })
export class DatabaseModule {}

/** In the root module, and at the top of its dependencies: Nest 12 stops those first. */
@Injectable()
export class RootService extends Neighbour {
  constructor(readonly database: Database) {
    super('root');
  }
}
