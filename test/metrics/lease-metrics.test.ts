/** Each figure moves as its help text says, on simulated time. */
import { describe, expect, it } from 'vitest';
import { LeaseRequestError } from '../../lib/election/index.js';
import { World } from '../election/candidate.js';
import { prepareMetered, startMetered } from './candidate-with-meter.js';

const broken = new LeaseRequestError('LEADER_SERVER_ERROR', 'planted', { maybeCommitted: true });
const refused = new LeaseRequestError('LEADER_REQUEST_INVALID', 'planted', { maybeCommitted: false });

describe('leading', () => {
  it('master_status is 0 from the beginning, 1 in a term, and 0 as soon as the term is not certain, though nobody looked', async () => {
    const world = new World();
    const baz = prepareMetered(world, 'baz');
    baz.start();
    expect(await baz.figures()).toMatchObject({ master_status: 0, validity_seconds: 0 });
    await world.time.advance(1_000);
    expect(await baz.figures()).toMatchObject({ master_status: 1 });
    // The process is stopped: no timer fires, no event is told.
    world.time.jump(20_000);
    expect(await baz.figures()).toMatchObject({ master_status: 0, validity_seconds: 0 });
  });

  it('validity_seconds runs down and is renewed', async () => {
    const world = new World();
    const baz = startMetered(world, 'baz');
    await world.time.advanceUntil(() => baz.leads, 1_000);
    const began = (await baz.figures())['validity_seconds'];
    expect(began).toBeGreaterThan(9.9);
    await world.time.advance(3_000);
    expect((await baz.figures())['validity_seconds']).toBeCloseTo((began ?? 0) - 3, 5);
    await world.time.advance(1_000);
    expect((await baz.figures())['validity_seconds']).toBeGreaterThan(9);
  });

  it('master_status is 0 while handing over, and the work that is waited for is counted', async () => {
    const world = new World();
    const baz = startMetered(world, 'baz');
    await world.time.advance(1_000);
    const leave = [baz.term.enter(), baz.term.enter()];
    baz.stop();
    expect(await baz.figures()).toMatchObject({ master_status: 0, drained_total: 2 });
    for (const disposer of leave) disposer();
    await world.time.advance(1_000);
    expect(baz.ended).toBe(true);
    expect(await baz.figures()).toMatchObject({
      drained_total: 2,
      watch_open: 0,
      'term_duration_seconds_count{reason="stopped"}': 1,
    });
  });

  it('work that a lost term leaves behind is counted, once', async () => {
    const world = new World();
    const baz = startMetered(world, 'baz');
    await world.time.advance(1_000);
    const leave = baz.term.enter();
    world.lease.delete();
    await world.time.advance(1_000);
    expect(await baz.figures()).toMatchObject({ drained_total: 1, master_status: 0 });
    leave();
  });
});

describe('terms', () => {
  it('begin on no lease, then on its own, and last as long as they lasted', async () => {
    const world = new World();
    const baz = startMetered(world, 'baz');
    await world.time.advanceUntil(() => baz.leads, 1_000);
    const beganAt = world.time.now;
    expect(await baz.figures()).toMatchObject({ 'terms_total{takeover="none"}': 1 });
    baz.lock.fate = () => 'lose';
    await world.time.advanceUntil(() => !baz.leads, 20_000);
    const lasted = (world.time.now - beganAt) / 1_000;
    baz.lock.fate = () => 'answer';
    await world.time.advanceUntil(() => baz.leads, 20_000);
    const figures = await baz.figures();
    expect(figures).toMatchObject({
      'terms_total{takeover="none"}': 1,
      'terms_total{takeover="own"}': 1,
      'terms_total{takeover="clean"}': 0,
      'terms_total{takeover="unclean"}': 0,
      'term_duration_seconds_count{reason="deadline"}': 1,
    });
    expect(figures['term_duration_seconds_sum{reason="deadline"}']).toBeCloseTo(lasted, 3);
  });

  it('a takeover after a release is clean', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    const bing = startMetered(world, 'bing');
    await world.time.advance(1_000);
    baz.stop();
    await world.time.advanceUntil(() => bing.leads, 1_000);
    expect(await bing.figures()).toMatchObject({
      'terms_total{takeover="clean"}': 1,
      'terms_total{takeover="unclean"}': 0,
    });
  });

  it('a takeover of a lease that ran out is unclean', async () => {
    const world = new World();
    const baz = world.start('baz');
    await world.time.advance(1_000);
    const bing = startMetered(world, 'bing');
    await world.time.advance(1_000);
    baz.lock.fate = () => 'lose';
    await world.time.advanceUntil(() => bing.leads, 30_000);
    expect(await bing.figures()).toMatchObject({
      'terms_total{takeover="clean"}': 0,
      'terms_total{takeover="unclean"}': 1,
    });
  });
});

describe('renewals', () => {
  it('are counted with what they took, from sending to answer; a first write is none', async () => {
    const world = new World();
    const baz = startMetered(world, 'baz');
    await world.time.advanceUntil(() => baz.leads, 1_000);
    expect(await baz.figures()).not.toHaveProperty('renew_duration_seconds_count{outcome="renewed"}');
    baz.lock.fate = () => ({ replyDelayMs: 298 });
    await world.time.advance(4_000);
    const figures = await baz.figures();
    expect(figures).toMatchObject({
      'renew_duration_seconds_count{outcome="renewed"}': 1,
      slowpath_total: 0,
    });
    expect(figures['renew_duration_seconds_sum{outcome="renewed"}']).toBeCloseTo(0.3, 5);
  });

  it('that conflict take the slow path', async () => {
    const world = new World();
    const baz = startMetered(world, 'baz');
    await world.time.advance(1_000);
    baz.lock.watchStalled = true;
    world.lease.relabel();
    await world.time.advance(4_000);
    expect(await baz.figures()).toMatchObject({
      slowpath_total: 1,
      'renew_duration_seconds_count{outcome="conflict"}': 1,
      'renew_duration_seconds_count{outcome="renewed"}': 1,
      master_status: 1,
    });
  });

  it('of unknown outcome take the slow path, and are counted with the error', async () => {
    const world = new World();
    const baz = startMetered(world, 'baz');
    await world.time.advance(1_000);
    baz.lock.fate = ({ verb }) => (verb === 'update' ? { error: broken } : 'answer');
    await world.time.advance(3_000);
    baz.lock.fate = () => 'answer';
    await world.time.advance(3_000);
    expect(await baz.figures()).toMatchObject({
      slowpath_total: 1,
      'renew_duration_seconds_count{outcome="failed"}': 1,
      'errors_total{code="LEADER_SERVER_ERROR"}': 1,
    });
  });

  it('that were refused without effect do not: what is known of the lease still holds', async () => {
    const world = new World();
    const baz = startMetered(world, 'baz');
    await world.time.advance(1_000);
    baz.lock.fate = ({ verb }) => (verb === 'update' ? refused : 'answer');
    await world.time.advance(3_000);
    expect(await baz.figures()).toMatchObject({
      slowpath_total: 0,
      'renew_duration_seconds_count{outcome="failed"}': 1,
      'errors_total{code="LEADER_REQUEST_INVALID"}': 1,
    });
  });

  it('that are given up at the end of the run are not counted as failed', async () => {
    const world = new World();
    const baz = startMetered(world, 'baz', { releaseOnCancel: false });
    await world.time.advance(1_000);
    baz.lock.fate = () => ({ replyDelayMs: 60_000 });
    await world.time.advance(3_000);
    baz.stop();
    await world.time.advance(1_000);
    expect(baz.ended).toBe(true);
    expect(await baz.figures()).not.toHaveProperty('renew_duration_seconds_count{outcome="failed"}');
  });
});

it('watch_open is 1 while the watch is, and 0 from its end until it is opened again', async () => {
  const world = new World();
  const baz = startMetered(world, 'baz');
  await world.time.advance(1_000);
  expect(await baz.figures()).toMatchObject({ watch_open: 1 });
  baz.lock.endWatch(broken);
  // It has ended after a millisecond, is opened again at once, and open after another.
  await world.time.advance(1.5);
  expect(await baz.figures()).toMatchObject({ watch_open: 0 });
  await world.time.advance(5_000);
  expect(await baz.figures()).toMatchObject({
    watch_open: 1,
    'errors_total{code="LEADER_SERVER_ERROR"}': 1,
  });
});

it('a follower leads nothing, and says so', async () => {
  const world = new World();
  world.start('baz');
  await world.time.advance(100);
  const bing = startMetered(world, 'bing');
  await world.time.advance(60_000);
  expect(await bing.figures()).toEqual({
    master_status: 0,
    validity_seconds: 0,
    watch_open: 1,
    slowpath_total: 0,
    drained_total: 0,
    'terms_total{takeover="none"}': 0,
    'terms_total{takeover="clean"}': 0,
    'terms_total{takeover="unclean"}': 0,
    'terms_total{takeover="own"}': 0,
  });
});
