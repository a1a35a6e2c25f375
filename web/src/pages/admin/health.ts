import type { Health, StreamMetrics } from '../../api/types';

export type Grade = 'good' | 'unknown' | 'bad';

/** Grades the state of a part of the platform, as the server names it. */
export function healthGrade(state: string): Grade {
  if (/^(healthy|connected|ok|up|serving|ready)$/i.test(state)) return 'good';
  return /^(unknown|disabled|embedded|none|not[_ ]used)$/i.test(state) ? 'unknown' : 'bad';
}

/** What is known of the platform; null where it could not be asked. */
export interface Report {
  health: Health;
  metrics: StreamMetrics | null;
  deadLetters: number | null;
  failedVideos: number | null;
}

export type Problem =
  | { kind: 'service' | 'dependency'; name: string }
  | { kind: 'deadLetters' | 'failedVideos'; count: number }
  | { kind: 'full'; max: number; queued: number }
  | { kind: 'opens'; seconds: number };

/** Returns what is wrong, what others depend on first. */
export function problemsOf({ health, metrics, deadLetters, failedVideos }: Report): Problem[] {
  const bad = (states: Record<string, string>) =>
    Object.keys(states).filter((name) => healthGrade(states[name] ?? '') === 'bad');
  const problems: Problem[] = [
    ...bad(health.dependencies).map((name) => ({ kind: 'dependency' as const, name })),
    ...bad(health.services).map((name) => ({ kind: 'service' as const, name })),
  ];
  if (metrics && metrics.opens_in_sec > 0) {
    problems.push({ kind: 'opens', seconds: Math.ceil(metrics.opens_in_sec) });
  }
  if (metrics && metrics.queued > 0 && metrics.active >= metrics.max_streams) {
    problems.push({ kind: 'full', max: metrics.max_streams, queued: metrics.queued });
  }
  if (deadLetters) problems.push({ kind: 'deadLetters', count: deadLetters });
  if (failedVideos) problems.push({ kind: 'failedVideos', count: failedVideos });
  return problems;
}
