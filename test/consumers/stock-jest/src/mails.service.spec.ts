import { Test, TestingModule } from '@nestjs/testing';
import { LeaderElectionModule, LeaderService, isLeaderError } from 'nestjs-leader';
import {
  LeaderElectionTestingModule,
  LeaseApiServer,
  ScriptedElector,
  SimulatedTime,
  runInFakeTerm,
} from 'nestjs-leader/testing';
import { MailsService } from './mails.service';

describe('MailsService', () => {
  let app: TestingModule;
  let mails: MailsService;

  beforeEach(async () => {
    app = await Test.createTestingModule({
      imports: [LeaderElectionTestingModule.forRoot({ identity: 'pod-1' })],
      providers: [MailsService],
    }).compile();
    await app.init();
    mails = app.get(MailsService);
  });

  afterEach(() => app.close());

  it('sends while it leads, and only then', () => {
    const elector = app.get(ScriptedElector);
    elector.grant({ fencingToken: 7n });
    expect(mails.send('ada')).toBe('ada by pod-1, token 7');
    elector.revoke('deadline');
    try {
      mails.send('ada');
      throw new Error('it sent all the same');
    } catch (error) {
      expect(isLeaderError(error, 'LEADER_NOT_LEADER')).toBe(true);
    }
  });

  it("keeps its term until the election's time says otherwise, beside fake timers", async () => {
    jest.useFakeTimers();
    app.get(ScriptedElector).grant({ validFor: 10_000 });
    await jest.advanceTimersByTimeAsync(60_000);
    expect(mails.send('ada')).toBe('ada by pod-1, token 1');
    await app.get(SimulatedTime).advance(10_000);
    expect(() => mails.send('ada')).toThrow('does not lead');
    jest.useRealTimers();
  });

  it('runs without any module in a fake term', () => {
    const byHand = new MailsService(undefined as never);
    expect(runInFakeTerm({ fencingToken: 3 }, () => byHand.send('grace'))).toBe('grace by nobody, token 3');
  });
});

describe('MailsService in a real election', () => {
  it('sends when it leads, on the embedded API server', async () => {
    const server = await LeaseApiServer.start();
    const app = await Test.createTestingModule({
      imports: [
        LeaderElectionModule.forRoot({
          leaseName: 'mails',
          leaseNamespace: 'default',
          kubernetes: { server: server.url },
        }),
      ],
      providers: [MailsService],
    }).compile();
    await app.init();
    await app.get(LeaderService).whenLeader();
    expect(app.get(MailsService).send('ada')).toMatch(/^ada by .+, token \d+$/);
    await app.close();
    await server.stop();
  });
});
