import { Controller, Get } from '@nestjs/common';
import {
  HealthCheck,
  HealthCheckService,
  HealthIndicatorService,
  TerminusModule,
  type HealthIndicatorResult,
} from '@nestjs/terminus';
import { expect, it } from 'vitest';
import { LeaderHealthIndicator } from '../../lib/index.js';
import { applicationWith } from './application.js';

@Controller('health')
class HealthController {
  downAfterMs: number | undefined;

  constructor(
    private readonly health: HealthCheckService,
    private readonly leader: LeaderHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check(): unknown {
    const { downAfterMs } = this;
    return this.health.check([
      () =>
        this.leader.isHealthy(
          'leader',
          downAfterMs === undefined ? {} : { downWhenNoLeaderForMs: downAfterMs },
        ),
    ]);
  }
}

it('a follower is up, a leader shows its term, and an election without a leader is down if asked for', async () => {
  const { app, elector } = await applicationWith({
    imports: [TerminusModule.forRoot({ logger: false })],
    controllers: [HealthController],
  });
  await app.listen(0, '127.0.0.1');
  const look = async (): Promise<unknown> => {
    const response = await fetch(`${await app.getUrl()}/health`);
    return { status: response.status, ...((await response.json()) as object) };
  };
  elector.revoke('superseded', 'the-other');
  expect(await look()).toMatchObject({
    status: 'ok',
    details: { leader: { status: 'up', state: 'following', leader: 'the-other', identity: 'me' } },
  });
  elector.grant({ fencingToken: 4n });
  expect(await look()).toMatchObject({
    status: 'ok',
    details: { leader: { status: 'up', state: 'leading', leader: 'me', fencingToken: '4' } },
  });
  elector.revoke('deadline');
  app.get(HealthController).downAfterMs = -1;
  expect(await look()).toMatchObject({
    status: 'error',
    details: { leader: { status: 'down', message: expect.stringContaining('nobody was seen to lead') } },
  });
  await app.close();
});

it("the result is that of Terminus' own indicators, with `message` when down", async () => {
  const { app } = await applicationWith({});
  const indicator = app.get(LeaderHealthIndicator);
  const ownResult = new HealthIndicatorService().check('leader');
  const up: HealthIndicatorResult<'leader'> = indicator.isHealthy('leader');
  expect(up).toEqual(ownResult.up({ state: 'following', identity: 'me', leader: '' }));
  const { leader } = indicator.isHealthy('leader', { downWhenNoLeaderForMs: -1 });
  expect(leader.message).toMatch(/^nobody was seen to lead/);
  const { status, message, ...details } = leader;
  expect({ leader }).toEqual(ownResult.down({ message, ...details }));
  expect(status).toBe('down');
  await app.close();
});

it('limits that are not numbers are refused: nothing would ever exceed them', async () => {
  const { app } = await applicationWith({});
  const indicator = app.get(LeaderHealthIndicator);
  for (const name of ['downWhenNoLeaderForMs', 'maxTolerableExpiredLease'])
    for (const value of [Number.NaN, '5000'])
      expect(() => indicator.isHealthy('leader', { [name]: value })).toThrow(
        expect.objectContaining({ code: 'LEADER_INVALID_OPTIONS', message: expect.stringContaining(name) }),
      );
  await app.close();
});

it('an unknown election is named', async () => {
  const { app } = await applicationWith({});
  expect(() => app.get(LeaderHealthIndicator).isHealthy('leader', { election: 'billing' })).toThrow(
    expect.objectContaining({ code: 'LEADER_MODULE_MISSING' }),
  );
  await app.close();
});
