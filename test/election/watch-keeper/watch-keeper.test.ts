/** A watch that is kept on one object: when streams are opened and closed, and what the listener is told. */
import { describe, expect, it } from 'vitest';
import { LeaseRequestError, type WatchEvent } from '../../../lib/election/index.js';
import { WatchKeeper, type Watched } from '../../../lib/election/internal.js';
import { SimulatedTime } from '../../../lib/testing/simulated-time.js';

const RETRY_PERIOD = 2_000;
/** The longest pause before a watch is opened again that ended twice in a row. */
const PAUSE = 1.5 * RETRY_PERIOD;
/** After that a stream that does not open is given up. */
const OPENING = 5 * RETRY_PERIOD;

const deleted = (resourceVersion: string): Exclude<WatchEvent, { kind: 'opened' }> => ({
  kind: 'deleted',
  resourceVersion,
});
const refused = (code: 'LEADER_FORBIDDEN' | 'LEADER_UNREACHABLE'): LeaseRequestError =>
  new LeaseRequestError(code, 'planted', { maybeCommitted: false });

interface Stream {
  readonly signal: AbortSignal;
  show(event: WatchEvent): void;
  end(): void;
  fail(error: unknown): void;
}

/** A kept watch, whose streams the test opens and ends. */
class Kept {
  readonly time = new SimulatedTime();
  readonly streams: Stream[] = [];
  /** What the listener was told, in order. */
  readonly told: string[] = [];
  /** Called with each line of `told`. */
  onTold: (line: string) => void = () => undefined;
  readonly keeper: WatchKeeper;

  constructor(watched?: Watched) {
    const scripted: Watched = {
      watch: (onEvent, signal) =>
        new Promise((resolve, reject) => {
          this.streams.push({ signal, show: onEvent, end: resolve, fail: reject });
        }),
    };
    const tell = (line: string): void => {
      this.told.push(line);
      this.onTold(line);
    };
    this.keeper = new WatchKeeper(watched ?? scripted, this.time.clock(), RETRY_PERIOD, {
      onEvent: (event) => {
        tell(event.kind === 'deleted' ? `version ${event.resourceVersion}` : event.kind);
      },
      onStateChange: tell,
      onError: ({ code }, isDenied) => {
        tell(isDenied ? `denied, ${code}` : code);
      },
    });
  }

  start(): this {
    this.keeper.start();
    return this;
  }

  /** The newest stream. */
  get stream(): Stream {
    const stream = this.streams.at(-1);
    if (stream === undefined) throw new Error('No stream was opened.');
    return stream;
  }

  open(): void {
    this.stream.show({ kind: 'opened' });
  }

  /** Opens the newest stream and ends it. */
  async endAtOnce(error?: unknown): Promise<void> {
    this.open();
    if (error === undefined) this.stream.end();
    else this.stream.fail(error);
    await this.time.settle();
  }

  /** For each stream, whether it was told to end. */
  get closed(): readonly boolean[] {
    return this.streams.map(({ signal }) => signal.aborted);
  }
}

describe('a kept watch', () => {
  it('shows the events of its stream, until it is stopped', () => {
    const kept = new Kept().start();
    kept.open();
    kept.stream.show(deleted('7'));
    expect(kept.keeper.state).toBe('open');
    kept.keeper.stop();
    kept.stream.show(deleted('8'));
    expect(kept.told).toEqual(['connecting', 'open', 'version 7', 'closed']);
    expect([kept.closed, kept.time.pending]).toEqual([[true], 0]);
  });

  it('is unsupported if its source cannot be watched', () => {
    const { told, keeper, time } = new Kept({}).start();
    expect([told, keeper.state, time.pending]).toEqual([['unsupported'], 'unsupported', 0]);
  });

  it('is opened again at once when its stream ends, and after a pause when that happens twice in a row', async () => {
    const kept = new Kept().start();
    await kept.endAtOnce();
    await kept.time.advance(0);
    expect(kept.streams).toHaveLength(2);
    await kept.endAtOnce();
    await kept.time.advance(RETRY_PERIOD - 1);
    expect(kept.streams).toHaveLength(2);
    await kept.time.advance(PAUSE - RETRY_PERIOD + 1);
    expect(kept.streams).toHaveLength(3);
    expect(kept.told).toEqual(['connecting', 'open', 'connecting', 'open', 'connecting']);
  });

  it('gives up a stream that does not open, whatever that says later', async () => {
    const kept = new Kept().start();
    const [first] = kept.streams;
    await kept.time.advance(OPENING);
    expect(kept.closed).toEqual([true]);
    first?.show(deleted('7'));
    first?.fail(refused('LEADER_UNREACHABLE'));
    await kept.time.advance(PAUSE);
    expect(kept.closed).toEqual([true, false]);
    expect(kept.told).toEqual(['connecting']);
  });

  it('replaces a stream that does not show in time what a reply showed', async () => {
    const kept = new Kept().start();
    kept.open();
    const { stream: first } = kept;
    first.show(deleted('7'));
    kept.keeper.expect('7');
    await kept.time.advance(10 * RETRY_PERIOD);
    kept.keeper.expect('8');
    await kept.time.advance(RETRY_PERIOD - 1);
    expect(kept.closed).toEqual([false]);
    await kept.time.advance(1);
    expect(kept.closed).toEqual([true, false]);
    first.show(deleted('8'));
    first.end();
    await kept.time.settle();
    expect(kept.told).toEqual(['connecting', 'open', 'version 7', 'connecting']);
  });

  it('replaces a stream at once that should have shown it already', async () => {
    const kept = new Kept().start();
    kept.open();
    kept.keeper.expect('8', true);
    await kept.time.advance(0);
    expect(kept.closed).toEqual([true, false]);
  });

  it('can be replaced while it is open', () => {
    const kept = new Kept().start();
    kept.keeper.renew();
    expect(kept.closed).toEqual([false]);
    kept.open();
    kept.keeper.renew();
    expect(kept.closed).toEqual([true, false]);
  });

  it('reports a problem once, and again after a stream has opened meanwhile', async () => {
    const kept = new Kept().start();
    const fail = async (error: unknown): Promise<void> => {
      kept.stream.fail(error);
      await kept.time.advance(PAUSE);
    };
    await fail(refused('LEADER_UNREACHABLE'));
    await fail('not an error of a request');
    expect(kept.told).toEqual(['connecting', 'LEADER_UNREACHABLE']);
    kept.open();
    await fail(refused('LEADER_UNREACHABLE'));
    expect(kept.told.slice(2)).toEqual(['open', 'LEADER_UNREACHABLE', 'connecting']);
  });

  it('that is denied is opened again after a long time', async () => {
    const kept = new Kept().start();
    kept.stream.fail(refused('LEADER_FORBIDDEN'));
    await kept.time.advance(30 * RETRY_PERIOD - 1);
    expect(kept.told).toEqual(['connecting', 'denied, LEADER_FORBIDDEN', 'denied']);
    expect(kept.streams).toHaveLength(1);
    await kept.time.advance(15 * RETRY_PERIOD + 1);
    expect(kept.streams).toHaveLength(2);
  });

  it.each(['connecting', 'open', 'LEADER_UNREACHABLE'])(
    'stays closed if its listener stops it at %s',
    async (line) => {
      const kept = new Kept();
      kept.onTold = (told) => {
        if (told === line) kept.keeper.stop();
      };
      kept.start();
      if (line !== 'connecting') await kept.endAtOnce(refused('LEADER_UNREACHABLE'));
      const opened = kept.streams.length;
      await kept.time.advance(100 * RETRY_PERIOD);
      expect(kept.streams).toHaveLength(opened);
      expect([opened, kept.keeper.state, kept.time.pending]).toEqual([
        line === 'connecting' ? 0 : 1,
        'closed',
        0,
      ]);
    },
  );
});
