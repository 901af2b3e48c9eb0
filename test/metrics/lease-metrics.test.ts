/** Each metric changes as its help text says, on simulated time. */
import { describe, expect, it } from 'vitest';
import { LeaseRequestError } from '../../lib/election/index.js';
import { World } from '../election/candidate.js';
import { prepareMetered, startMetered } from './candidate-with-meter.js';

const broken = new LeaseRequestError('LEADER_SERVER_ERROR', 'planted', { maybeCommitted: true });
const refused = new LeaseRequestError('LEADER_REQUEST_INVALID', 'planted', { maybeCommitted: false });

describe('leading', () => {
  it('master_status is 0 at first, 1 in a term, and 0 as soon as the term has run out, even without an event', async () => {
    const world = new World();
    const baz = prepareMetered(world, 'baz');
    baz.start();
    expect(await baz.figures()).toMatchObject({ master_status: 0, validity_seconds: 0 });
    await world.time.advance(1_000);
    expect(await baz.figures()).toMatchObject({ master_status: 1 });
    // The process is paused: no timer fires, no event is emitted.
    world.time.jump(20_000);
    expect(await baz.figures()).toMatchObject({ master_status: 0, validity_seconds: 0 });
  });

  it('validity_seconds decreases, and rises with each renewal', async () => {
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

  it('master_status is 0 during a hand-over, and drained_total counts the work that it waits for', async () => {
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

  it('drained_total counts the work of a lost term once', async () => {
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
  it('are counted by takeover none, then own, with their durations', async () => {
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

  it('are counted as clean after a release', async () => {
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

  it('are counted as unclean after another holder has let the lease expire', async () => {
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
  it('are counted with their duration from sending to reply, without the first write of a term', async () => {
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

  it('that conflict count as slow path', async () => {
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

  it('of unknown outcome count as slow path, and as errors', async () => {
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

  it('that were refused without effect do not count as slow path', async () => {
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

  it('that are abandoned at the end of the run are not counted as failed', async () => {
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

it('watch_open is 1 while the watch is open, and 0 from its end until it is reopened', async () => {
  const world = new World();
  const baz = startMetered(world, 'baz');
  await world.time.advance(1_000);
  expect(await baz.figures()).toMatchObject({ watch_open: 1 });
  baz.lock.endWatch(broken);
  // It ends after a millisecond, is reopened at once, and is open after another.
  await world.time.advance(1.5);
  expect(await baz.figures()).toMatchObject({ watch_open: 0 });
  await world.time.advance(5_000);
  expect(await baz.figures()).toMatchObject({
    watch_open: 1,
    'errors_total{code="LEADER_SERVER_ERROR"}': 1,
  });
});

it('master_status of a follower is 0', async () => {
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
    'terms_total{takeover="dead"}': 0,
    'terms_total{takeover="own"}': 0,
  });
});
