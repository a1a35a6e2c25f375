import type { Database } from './database';

/** Clocks are set right by a little all the time. */
export const TOLERANCE_SEC = 300;

/** What a licence allows now. */
export type Verdict = 'valid' | 'expired' | 'clock-turned-back';

/** Moments are seconds since 1970. */
export interface Term {
  issuedAt: number;
  expiresAt: number;
}

/** Judges a licence by the device's clock, and by the latest moment that the device has seen. */
export function judge({ issuedAt, expiresAt }: Term, seen: number, now: number): Verdict {
  if (now < Math.max(issuedAt, seen) - TOLERANCE_SEC) return 'clock-turned-back';
  return Math.max(now, seen) >= expiresAt ? 'expired' : 'valid';
}

/** Remembers the latest moment that this device has seen, so that a clock turned back does not prolong licences. */
export class ClockGuard {
  constructor(
    private readonly database: Database,
    private readonly now: () => number = () => Date.now() / 1000,
  ) {}

  async judge(term: Term): Promise<Verdict> {
    const seen = (await this.database.get<number>('clock', 'seen')) ?? 0;
    const now = this.now();
    if (now > seen) await this.database.put('clock', 'seen', now);
    return judge(term, seen, now);
  }

  /** The server has said what time it is: that counts, also when this device's clock once ran ahead. */
  async set(serverNow: number): Promise<void> {
    await this.database.put('clock', 'seen', serverNow);
  }
}

/** Returns when an answer was made by its server's clock, in seconds since 1970; null if it does not say. */
export function momentOf(headers: Headers): number | null {
  const moment = Date.parse(headers.get('Date') ?? '');
  return Number.isNaN(moment) ? null : moment / 1000;
}

/** Returns seconds since 1970 of a moment in ISO 8601; licences end at whole seconds. */
export function secondsOf(moment: string): number {
  return Math.round(Date.parse(moment) / 1000);
}
