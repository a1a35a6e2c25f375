import type { ProgressRecord, ProgressWrite } from '../api/types';

export interface Playhead {
  position: number;
  duration: number;
}

const RESUME_AFTER_SEC = 5;
const COMPLETED_RATIO = 0.95;
const SAME_POSITION_SEC = 0.25;

/** Returns the position to offer to resume at, or null when the film starts from the beginning. */
export function resumePosition(record: ProgressRecord | null): number | null {
  if (!record || record.completed) return null;
  const { position, duration } = record;
  if (!Number.isFinite(position) || position <= RESUME_AFTER_SEC) return null;
  if (duration > 0 && position / duration >= COMPLETED_RATIO) return null;
  return position;
}

/**
 * Decides which positions are worth sending. Closed until the start position is known and applied: a player that is
 * still loading, or that was just reset, reports 0, and saving that would erase the viewer's position.
 */
export class ProgressPolicy {
  private open = false;
  private started = false;
  private seq = 0;
  private lastSent: number | null = null;

  constructor(readonly sessionId: string) {}

  /** `startedAt` counts as saved already, so that opening and leaving writes nothing. */
  start(startedAt: number): void {
    this.open = true;
    this.started = true;
    this.lastSent = startedAt;
  }

  /** Continues after an interruption; positions saved before it stay saved. */
  resume(): void {
    this.open = this.started;
  }

  suspend(): void {
    this.open = false;
  }

  get isTracking(): boolean {
    return this.started;
  }

  get lastSaved(): number | null {
    return this.lastSent;
  }

  /** Returns the write to send for this position, or null when there is nothing to save. */
  next({ position, duration }: Playhead): ProgressWrite | null {
    if (!this.open) return null;
    if (!Number.isFinite(position) || position < 0) return null;
    if (!Number.isFinite(duration) || duration <= 0) return null;
    if (this.lastSent !== null && Math.abs(position - this.lastSent) < SAME_POSITION_SEC) return null;
    this.lastSent = position;
    this.seq += 1;
    return {
      position: round(Math.min(position, duration)),
      duration: round(duration),
      session_id: this.sessionId,
      seq: this.seq,
    };
  }

  /** Called when a write did not arrive: the next occasion sends again, even from the same position. */
  failed(write: ProgressWrite): void {
    if (write.seq === this.seq) this.lastSent = null;
  }
}

function round(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}
