import { Module, type DynamicModule } from '@nestjs/common';
import { ScriptedElector } from '../election/index.js';
import { electionModule } from './leader-election.module.js';
import { DEFAULT_ELECTION, getElectorToken, getOptionsToken } from './tokens.js';

/** What a test starts with. */
export interface LeaderElectionTestingOptions {
  /** Default `'follower'`. */
  readonly startAs?: 'leader' | 'follower';
  /** Which election it stands for. Default: the default one. */
  readonly name?: string;
  /** The name of this process. Default `'me'`. */
  readonly identity?: string;
}

/**
 * Stands in for `LeaderElectionModule` in a test: everything is as in production, except that the test decides who leads.
 *
 * ```ts
 * const app = await Test.createTestingModule({
 *   imports: [LeaderElectionTestingModule.forRoot({ startAs: 'leader' })],
 *   providers: [Invoices],
 * }).compile();
 * await app.init();
 * app.get(ScriptedElector).revoke();
 * ```
 */
@Module({})
export class LeaderElectionTestingModule {
  static forRoot(options: LeaderElectionTestingOptions = {}): DynamicModule {
    const { startAs = 'follower', name = DEFAULT_ELECTION, identity = 'me' } = options;
    const elector = new ScriptedElector({ leaseName: name, identity });
    if (startAs === 'leader') elector.grant();
    const module = electionModule({
      name,
      isGlobal: true,
      providers: [
        { provide: getOptionsToken(name), useValue: {} },
        // The later provider of a token counts.
        { provide: getElectorToken(name), useValue: elector },
        ...(name === DEFAULT_ELECTION ? [{ provide: ScriptedElector, useValue: elector }] : []),
      ],
    });
    return {
      ...module,
      exports: [...(module.exports ?? []), ...(name === DEFAULT_ELECTION ? [ScriptedElector] : [])],
    };
  }
}
