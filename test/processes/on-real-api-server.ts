/** Tests of fleets on a real API server: one server a file, one lease a fleet, nothing left running. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { RealApiServer, type RealApiServerOptions } from '../rig/real-api-server.js';
import { findServers } from '../rig/servers.js';
import { ReplicaFleet, type FleetSettings } from './replica-fleet.js';

/** What tests of one file work with. */
export interface Stage {
  /** Not before the first test runs. */
  readonly server: RealApiServer;
  /** So many replicas on a lease of their own, one of which leads; ended with the test. */
  fleet(count: number, election: Timing, rest?: Partial<FleetSettings>): Promise<ReplicaFleet>;
  /** As above, without any yet. */
  emptyFleet(election: Timing, rest?: Partial<FleetSettings>): ReplicaFleet;
}

type Timing = Omit<FleetSettings['election'], 'leaseName'>;

/** `describe`, or one test that says why not where there is no real API server. */
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
    // Known before it is complete: if that fails, what did start must end all the same.
    this.#fleets.push(fleet);
    return fleet;
  }

  async clear(): Promise<void> {
    await Promise.all(this.#fleets.splice(0).map((fleet) => fleet.kill()));
  }
}
