import { describe, expect, it } from 'vitest';
import type { StreamMetrics } from '../src/api/types';
import { healthGrade, problemsOf, type Report } from '../src/pages/admin/health';
import { sampleOf, withSample } from '../src/pages/admin/samples';

const METRICS = {
  active: 3,
  queued: 0,
  max_streams: 3,
  opens_in_sec: 0,
  bandwidth_mbps: 7.5,
} as StreamMetrics;

const WELL: Report = {
  health: {
    status: 'healthy',
    services: { catalog: 'healthy', stream: 'healthy' },
    dependencies: { database: 'connected', redis: 'embedded' },
  },
  metrics: METRICS,
  deadLetters: 0,
  failedVideos: 0,
};

describe('the state of a part', () => {
  it.each([
    ['healthy', 'good'],
    ['connected', 'good'],
    ['embedded', 'unknown'],
    ['not_used', 'unknown'],
    ['unhealthy', 'bad'],
    ['disconnected', 'bad'],
    ['on fire', 'bad'],
  ])('%s is %s', (state, grade) => {
    expect(healthGrade(state)).toBe(grade);
  });
});

describe('what is wrong', () => {
  it('is nothing while all parts work, and with all places taken if no one waits', () => {
    expect(problemsOf(WELL)).toEqual([]);
  });

  it('names what others depend on first', () => {
    const health = {
      status: 'unhealthy',
      services: { stream: 'unhealthy', catalog: 'healthy' },
      dependencies: { database: 'connected', redis: 'disconnected' },
    };
    expect(problemsOf({ ...WELL, health })).toEqual([
      { kind: 'dependency', name: 'redis' },
      { kind: 'service', name: 'stream' },
    ]);
  });

  it('has work that waits for an administrator', () => {
    const metrics = { ...METRICS, queued: 2, opens_in_sec: 4.2 };
    expect(problemsOf({ ...WELL, metrics, deadLetters: 5, failedVideos: 1 })).toEqual([
      { kind: 'opens', seconds: 5 },
      { kind: 'full', max: 3, queued: 2 },
      { kind: 'deadLetters', count: 5 },
      { kind: 'failedVideos', count: 1 },
    ]);
  });

  it('says nothing of what could not be asked', () => {
    expect(problemsOf({ ...WELL, metrics: null, deadLetters: null, failedVideos: null })).toEqual([]);
  });
});

describe('samples of figures', () => {
  it('are the last hundred', () => {
    let samples = [sampleOf(METRICS, 0)];
    for (let at = 1; at <= 150; at++) samples = withSample(samples, sampleOf(METRICS, at));
    expect(samples).toHaveLength(100);
    expect(samples[0]?.at).toBe(51);
    expect(samples.at(-1)).toEqual({ at: 150, streams: 3, mbps: 7.5 });
  });

  it('never go back in time', () => {
    const samples = withSample([sampleOf(METRICS, 10)], sampleOf({ ...METRICS, active: 1 }, 9));
    expect(samples).toEqual([{ at: 9, streams: 1, mbps: 7.5 }]);
  });
});
