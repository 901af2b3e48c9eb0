/** The guarantees of docs/guarantees.md on thousands of simulated fleets, and proof that the simulation can break them. */
import { describe, expect, it } from 'vitest';
import {
  faultKinds,
  featureKinds,
  simulate,
  type SimulatedFault,
  type SimulationReport,
} from '../../lib/testing/simulation/index.js';
import { simulateCommand } from './run.js';

const SEEDS = 1_200;

describe('npm run simulate', () => {
  it(`keeps every guarantee on ${String(SEEDS)} seeds`, () => {
    const { status, output } = simulateCommand(['--seeds', String(SEEDS), '--require-marks']);
    console.log(output);
    expect(output.trim().split('\n').at(-1)).toMatch(
      new RegExp(`^${String(SEEDS)} seeds, \\d+ steps, \\d+ terms, \\d+ faults, [\\d.]+ s: 0 violations$`),
    );
    // Elections got into every situation that matters, each at least once: marks.test.ts.
    expect(output).toMatch(/^reached (\d+) of \1 marks; rarest: /m);
    expect(status).toBe(0);
    // A bound in case it hangs.
  }, 1_800_000);

  it('shows the trace of a seed that fails, the guarantee, and how to repeat it', () => {
    const args = ['--from', '1', '--seeds', '100', '--rates', '0.5,2'];
    const { status, output } = simulateCommand(args);
    expect(status).toBe(1);
    expect(output).toMatch(/leads with token \d+/);
    // A seed that fails prints what is broken, and then how to repeat it.
    const [, broken = '', seed = ''] =
      / G1 broken: (.*)\n(?:.* broken: .*\n)*\nSeed (\d+) again: npm run simulate -- --seeds 1 --from \d+ --rates 0\.5,2/.exec(
        output,
      ) ?? [];
    const again = simulateCommand(['--from', seed, '--seeds', '1', '--rates', '0.5,2']);
    expect(again.status).toBe(1);
    expect(broken).not.toBe('');
    expect(again.output).toContain(` G1 broken: ${broken}\n`);
  });

  it.each([
    [['--seed', 'one'], /--seed is 'one': it must be a whole number, at least 0/],
    [['--html', '/nowhere/o.html'], /--html is '\/nowhere\/o.html': its folder must exist and be writable/],
    [['--seeds', 'many'], /--seeds is 'many': it must be a whole number, at least 1/],
    [['--faults', 'gremlins'], /--faults names 'gremlins', which is not one of requestLost, /],
    [['--rates', '1'], /--rates is '1': it must be the slowest and the fastest rate/],
  ])('refuses %j', (args, message) => {
    const { status, output } = simulateCommand(args);
    expect(output).toMatch(message);
    expect(status).toBe(2);
  });
});

describe('a simulation', () => {
  it('is the same with the same seed, and differs with another', async () => {
    const seed = async (from: number): Promise<readonly string[]> => {
      const traces: (readonly string[])[] = [];
      await simulate({ from, onSeed: ({ trace }) => traces.push(trace) });
      return traces.flat();
    };
    const first = await seed(7);
    expect(first.length).toBeGreaterThan(100);
    expect(await seed(7)).toEqual(first);
    expect(await seed(8)).not.toEqual(first);
  });

  it('tells each fault with the process that it strikes, and the true time of each step of an election', async () => {
    const told: SimulatedFault[] = [];
    const started = new Set<string>();
    const times: number[] = [];
    const { faults } = await simulate({
      seeds: 1,
      from: 7,
      onFault: (fault) => told.push(fault),
      traceOf: (name, trueTime) => {
        // With several Leases it has an election on each.
        started.add(name.replace(/ on .*/, ''));
        return () => times.push(trueTime());
      },
    });
    const counted = [...faults.keys()].map((kind) => told.filter((fault) => fault.kind === kind).length);
    expect(counted).toEqual([...faults.values()]);
    const struck = new Set(told.flatMap(({ process }) => process ?? []));
    expect(struck.size).toBeGreaterThan(1);
    expect([...started]).toEqual(expect.arrayContaining([...struck]));
    const inOrder = (list: readonly number[]): number[] => list.toSorted((a, b) => a - b);
    expect(times.length).toBeGreaterThan(100);
    expect(times).toEqual(inOrder(times));
    expect(told.map(({ at }) => at)).toEqual(inOrder(told.map(({ at }) => at)));
  });

  it('has every kind of fault in a hundred seeds', async () => {
    const { faults } = await simulate({ seeds: 100 });
    expect([...faults.keys()].toSorted()).toEqual([...faultKinds].toSorted());
  });

  it('has fleets with every feature in a hundred seeds', async () => {
    const { features } = await simulate({ seeds: 100, leases: 2 });
    expect([...features.keys()].toSorted()).toEqual([...featureKinds].toSorted());
    // Each is in five fleets of a hundred at least.
    expect([...features].filter(([, fleets]) => fleets < 5)).toEqual([]);
  });

  it('without faults has no more terms than step downs, kills and term limits explain', async () => {
    const { terms, failed } = await simulate({ seeds: 20, faults: [], size: 3, election: { termLimit: 0 } });
    expect(failed).toEqual([]);
    // One, one after it stepped down, one after that was killed, and a term limit in one replica of seven.
    expect(terms).toBeLessThan(20 * 8);
  });

  it('loses writes in a store that ignores tokens, and none in a store that checks them', async () => {
    const { lostWithoutFencing, refusedByFencing, failed } = await simulate({ seeds: 200 });
    expect(lostWithoutFencing).toBeGreaterThan(0);
    expect(refusedByFencing).toBeGreaterThan(0);
    expect(failed).toEqual([]);
  });

  it.each([[{ leaseDuration: 6_000, renewDeadline: 4_000, retryPeriod: 1_000 }], [{ lockDelay: 3_000 }]])(
    'keeps every guarantee with %j',
    async (election) => {
      const { failed } = await simulate({ from: 100_001, seeds: 100, election });
      expect(failed.map(({ seed, violations }) => ({ seed, violations }))).toEqual([]);
    },
  );
});

it('a Lease that is deleted again and again while replicas are cut off has one leader at a time', async () => {
  const { failed } = await simulate({
    from: 100_001,
    seeds: 300,
    faults: ['partition', 'repliesCut', 'leaseDeleted', 'ratesApart'],
  });
  expect(failed.map(({ seed, violations }) => ({ seed, violations }))).toEqual([]);
});

describe('G1 holds while clock rates are within their bound, and not beyond', () => {
  const broken = ({ failed }: SimulationReport): string[] =>
    failed.flatMap(({ violations }) => violations.map(({ guarantee }) => guarantee));

  it('with rates beyond leaseDuration ÷ renewDeadline two lead at once', async () => {
    expect(broken(await simulate({ seeds: 100, rates: [0.5, 2] }))).toContain('G1');
  });

  it('with rates just within it they never do', async () => {
    // 1.22 / 0.82 = 1.49; 15 s / 10 s = 1.5
    expect(
      broken(
        await simulate({ seeds: 200, rates: [0.82, 1.22], faults: ['ratesApart', 'partition', 'frozen'] }),
      ),
    ).toEqual([]);
  });
});
