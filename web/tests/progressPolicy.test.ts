import { describe, expect, it } from 'vitest';
import { ProgressPolicy, resumePosition } from '../src/player/progressPolicy';

const DURATION = 1200;
const at = (position: number, duration = DURATION) => ({ position, duration });

function record(position: number, more: { completed?: boolean; duration?: number } = {}) {
  return {
    content_id: 'v',
    position,
    duration: DURATION,
    progress_percent: 0,
    completed: false,
    updated_at: '2026-01-01T00:00:00Z',
    ...more,
  };
}

describe('resumePosition', () => {
  it('offers a place in the middle', () => {
    expect(resumePosition(record(754))).toBe(754);
  });

  it.each([
    ['no record', null],
    ['barely started', record(5)],
    ['completed', record(300, { completed: true })],
    ['95 % seen', record(1140)],
    ['not a number', record(Number.NaN)],
  ])('starts over: %s', (_, saved) => {
    expect(resumePosition(saved)).toBeNull();
  });

  it('does not judge by an unknown duration', () => {
    expect(resumePosition(record(754, { duration: 0 }))).toBe(754);
  });
});

describe('ProgressPolicy', () => {
  const started = (position = 0) => {
    const policy = new ProgressPolicy('session');
    policy.start(position);
    return policy;
  };

  it('saves nothing before the start position is known and applied', () => {
    expect(new ProgressPolicy('session').next(at(0))).toBeNull();
    expect(new ProgressPolicy('session').next(at(700))).toBeNull();
  });

  it('writes nothing when a film is opened and left again', () => {
    expect(started(0).next(at(0))).toBeNull();
    expect(started(754).next(at(754))).toBeNull();
  });

  it('numbers the writes of a session from 1', () => {
    const policy = started();
    expect(policy.next(at(5))).toEqual({ position: 5, duration: DURATION, session_id: 'session', seq: 1 });
    expect(policy.next(at(10))?.seq).toBe(2);
  });

  it('does not repeat a position, as when paused and then left', () => {
    const policy = started();
    expect(policy.next(at(42))).not.toBeNull();
    expect(policy.next(at(42))).toBeNull();
    expect(policy.next(at(42.1))).toBeNull();
  });

  it('never sends a position or duration that is not a number', () => {
    const policy = started();
    expect(policy.next(at(Number.NaN))).toBeNull();
    expect(policy.next(at(42, Number.NaN))).toBeNull();
    expect(policy.next(at(42, Number.POSITIVE_INFINITY))).toBeNull();
    expect(policy.next(at(-1))).toBeNull();
    expect(policy.next(at(42))?.seq).toBe(1);
  });

  it('ignores the 0 of an element that was reset, and goes on afterwards', () => {
    const policy = started();
    policy.next(at(300));
    policy.suspend();
    expect(policy.next(at(0))).toBeNull();
    policy.resume();
    expect(policy.next(at(301))?.seq).toBe(2);
  });

  it('stays closed when it was never started', () => {
    const policy = new ProgressPolicy('session');
    policy.resume();
    expect(policy.next(at(10))).toBeNull();
  });

  it('saves a jump back to the beginning that the viewer made', () => {
    const policy = started();
    policy.next(at(300));
    expect(policy.next(at(0))?.position).toBe(0);
  });

  it('sends again from the same position when the last write was lost', () => {
    const policy = started();
    const lost = policy.next(at(42));
    if (lost) policy.failed(lost);
    expect(policy.next(at(42))?.seq).toBe(2);
  });

  it('does not repeat when only an older write was lost', () => {
    const policy = started();
    const lost = policy.next(at(42));
    policy.next(at(50));
    if (lost) policy.failed(lost);
    expect(policy.next(at(50))).toBeNull();
  });

  it('never reports more than the duration', () => {
    expect(started().next(at(1200.02))?.position).toBe(DURATION);
  });
});
