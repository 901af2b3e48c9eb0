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
    // Made by each application anew: a test imports one dynamic module into many.
    const makeElector = (): ScriptedElector => {
      const elector = new ScriptedElector({ leaseName: name, identity });
      if (startAs === 'leader') elector.grant();
      return elector;
    };
    const module = electionModule({
      name,
      isGlobal: true,
      providers: [
        { provide: getOptionsToken(name), useValue: {} },
        // The later provider of a token counts.
        { provide: getElectorToken(name), useFactory: makeElector },
        ...(name === DEFAULT_ELECTION
          ? [{ provide: ScriptedElector, useExisting: getElectorToken(name) }]
          : []),
      ],
    });
    return {
      ...module,
      exports: [...(module.exports ?? []), ...(name === DEFAULT_ELECTION ? [ScriptedElector] : [])],
    };
  }
}
