const FIRST_MS = 10_000;
const LONGEST_MS = 40_000;

/**
 * Notices that a player waits for bytes and none arrive: the server behind its connection is frozen or gone, and the
 * browser reports no error. The wait doubles after each attempt without success.
 */
export class StallWatchdog {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private delayMs = FIRST_MS;

  constructor(private readonly onStall: () => void) {}

  /** Call when the player begins to wait for bytes. */
  waiting(): void {
    if (this.timer === undefined) this.arm();
  }

  /** Call when bytes arrived. */
  progress(): void {
    this.delayMs = FIRST_MS;
    if (this.timer !== undefined) this.arm();
  }

  /** Call when the player waits no more: it plays, was paused, has ended or failed. */
  settled(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private arm(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.delayMs = Math.min(this.delayMs * 2, LONGEST_MS);
      this.onStall();
    }, this.delayMs);
  }
}
