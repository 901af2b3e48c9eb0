/** Tests of fleets on a real API server: one server per file, one lease per fleet, and nothing keeps running. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { RealApiServer, type RealApiServerOptions } from '../rig/real-api-server.js';
import { findServers } from '../rig/servers.js';
import { ReplicaFleet, type FleetSettings } from './replica-fleet.js';

/** The server and fleets of the tests of one file. */
export interface Stage {
  /** Available when the first test runs. */
  readonly server: RealApiServer;
  /** Starts this many replicas on a lease of their own, one of which leads. They end with the test. */
  fleet(count: number, election: Timing, rest?: Partial<FleetSettings>): Promise<ReplicaFleet>;
  /** Like that, without replicas yet. */
  emptyFleet(election: Timing, rest?: Partial<FleetSettings>): ReplicaFleet;
}

type Timing = Omit<FleetSettings['election'], 'leaseName'>;

/** Like `describe`; without a real API server, a test that gives the reason. */
export function onRealApiServer(
  subject: string,
  options: RealApiServerOptions,
  tests: (stage: Stage) => void,
): void {
  const found = findServers();
  describe(subject, () => {
    if (!found.available) {
      it(`is not tested here: ${found.reason}`, () => {
        expect(found.reason).not.toBe('');
      });
      return;
    }
    const stage = new RealStage();
    beforeAll(async () => {
      stage.server = await RealApiServer.start(options);
    });
    afterEach(() => stage.clear());
    afterAll(() => stage.server.stop());
    tests(stage);
  });
}

class RealStage implements Stage {
  readonly #fleets: ReplicaFleet[] = [];
  #leases = 0;
  #server: RealApiServer | undefined;

  get server(): RealApiServer {
    if (this.#server === undefined) throw new Error('the API server was not started');
    return this.#server;
  }

  set server(server: RealApiServer) {
    this.#server = server;
  }

  async fleet(count: number, election: Timing, rest: Partial<FleetSettings> = {}): Promise<ReplicaFleet> {
    const fleet = this.emptyFleet(election, rest);
    await fleet.grow(count);
    return fleet;
  }

  emptyFleet(election: Timing, rest: Partial<FleetSettings> = {}): ReplicaFleet {
    this.#leases += 1;
    const leaseName = `lease-${String(this.#leases)}`;
    const fleet = new ReplicaFleet({ server: this.server, election: { ...election, leaseName }, ...rest });
    // Registered before it is complete, so that its replicas end even if starting it fails.
    this.#fleets.push(fleet);
    return fleet;
  }

  async clear(): Promise<void> {
    await Promise.all(this.#fleets.splice(0).map((fleet) => fleet.kill()));
  }
}
