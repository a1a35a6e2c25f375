import type { Qoe } from '../api/types';

const MAX_STARTUP_MS = 600_000;
const MAX_STALL_MS = 86_400_000;

/**
 * Measures the quality of experience of one play session. A wait after a seek is no stall: the viewer caused it.
 */
export class QoeMeter {
  private requestedAt: number | null = null;
  private startupMs: number | null = null;
  private stalledAt: number | null = null;
  private stalls = 0;
  private stallMs = 0;
  private droppedBefore = 0;
  private droppedNow = 0;

  constructor(private readonly now: () => number) {}

  /** Playback was requested, by the viewer or automatically. */
  requested(): void {
    if (this.startupMs === null) this.requestedAt ??= this.now();
  }

  /** The browser blocked playback: the wait that follows is the viewer's, not the player's. */
  refused(): void {
    this.requestedAt = null;
  }

  waiting(): void {
    if (this.startupMs !== null) this.stalledAt ??= this.now();
  }

  /** Playback is running. */
  playing(): void {
    if (this.startupMs === null && this.requestedAt !== null) this.startupMs = this.now() - this.requestedAt;
    this.settled();
  }

  /** The wait ended without playback: it was paused, or sought, or is over. */
  settled(): void {
    if (this.stalledAt === null) return;
    this.stalls += 1;
    this.stallMs += this.now() - this.stalledAt;
    this.stalledAt = null;
  }

  /** Takes the element's own count, which restarts with every load. */
  droppedFrames(count: number): void {
    if (count < this.droppedNow) this.droppedBefore += this.droppedNow;
    this.droppedNow = count;
  }

  report(): Qoe {
    this.settled();
    return {
      startup_ms: this.startupMs === null ? null : Math.round(Math.min(this.startupMs, MAX_STARTUP_MS)),
      stalls: this.stalls,
      stall_ms: Math.round(Math.min(this.stallMs, MAX_STALL_MS)),
      dropped_frames: this.droppedBefore + this.droppedNow,
    };
  }
}
