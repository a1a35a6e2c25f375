import type { StreamMetrics } from '../../api/types';

/** Figures of one moment. */
export interface Sample {
  /** In milliseconds since 1970. */
  at: number;
  streams: number;
  mbps: number;
}

/** As many as ten minutes have at the dashboard's pace. */
const MOST = 100;

export const sampleOf = (metrics: StreamMetrics, at: number): Sample => ({
  at,
  streams: metrics.active,
  mbps: metrics.bandwidth_mbps,
});

/** Adds a sample, and drops the oldest ones; one that is not later than the last takes its place. */
export function withSample(known: readonly Sample[], sample: Sample): Sample[] {
  const last = known.at(-1);
  const before = last && last.at >= sample.at ? known.slice(0, -1) : known;
  return [...before, sample].slice(-MOST);
}
