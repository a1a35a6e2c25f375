import { describe, expect, it } from 'vitest';
import { QoeMeter } from '../src/playsession/qoe';

function setUp() {
  const clock = { now: 1000 };
  return { clock, meter: new QoeMeter(() => clock.now) };
}

function started() {
  const all = setUp();
  all.meter.requested();
  all.clock.now += 250;
  all.meter.playing();
  return all;
}

describe('QoeMeter', () => {
  it('measures from play to the first picture, once', () => {
    const { meter, clock } = started();
    clock.now += 5000;
    meter.requested();
    clock.now += 5000;
    meter.playing();
    expect(meter.report().startup_ms).toBe(250);
  });

  it('knows no start before there was one', () => {
    const { meter, clock } = setUp();
    meter.playing();
    expect(meter.report().startup_ms).toBeNull();
    meter.requested();
    clock.now += 9000;
    expect(meter.report()).toEqual({ startup_ms: null, stalls: 0, stall_ms: 0, dropped_frames: 0 });
  });

  it('does not count the time until a viewer presses play where the browser demands it', () => {
    const { meter, clock } = setUp();
    meter.requested();
    meter.refused();
    clock.now += 60_000;
    meter.requested();
    clock.now += 300;
    meter.playing();
    expect(meter.report().startup_ms).toBe(300);
  });

  it('counts stalls and how long they last', () => {
    const { meter, clock } = started();
    for (const ms of [400, 600]) {
      meter.waiting();
      clock.now += ms / 2;
      meter.waiting();
      clock.now += ms / 2;
      meter.playing();
      clock.now += 10_000;
    }
    expect(meter.report()).toMatchObject({ stalls: 2, stall_ms: 1000 });
  });

  it('takes waiting for the first picture for a slow start, not for a stall', () => {
    const { meter, clock } = setUp();
    meter.requested();
    meter.waiting();
    clock.now += 2000;
    meter.playing();
    expect(meter.report()).toMatchObject({ startup_ms: 2000, stalls: 0, stall_ms: 0 });
  });

  it('ends a stall when the viewer pauses or jumps, and counts one that lasts until the end', () => {
    const { meter, clock } = started();
    meter.waiting();
    clock.now += 300;
    meter.settled();
    clock.now += 60_000;
    expect(meter.report()).toMatchObject({ stalls: 1, stall_ms: 300 });
    meter.waiting();
    clock.now += 200;
    expect(meter.report()).toMatchObject({ stalls: 2, stall_ms: 500 });
  });

  it('adds up dropped pictures over reloads, where the element counts from 0 again', () => {
    const { meter } = started();
    for (const count of [0, 4, 7, 0, 2]) meter.droppedFrames(count);
    expect(meter.report().dropped_frames).toBe(9);
  });

  it('reports no more than the server takes', () => {
    const { meter, clock } = setUp();
    meter.requested();
    clock.now += 86_400_000;
    meter.playing();
    meter.waiting();
    clock.now += 2 * 86_400_000;
    expect(meter.report()).toMatchObject({ startup_ms: 600_000, stall_ms: 86_400_000 });
  });
});
