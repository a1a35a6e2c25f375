interface Sample {
  at: number;
  bytes: number;
}

const WINDOW_MS = 4000;

/** Measures the speed over the last few seconds: steady enough to read, quick enough to follow a changing line. */
export class TransferRate {
  private samples: Sample[] = [];

  add(at: number, bytes: number): void {
    this.samples.push({ at, bytes });
    while (this.samples.length > 2 && at - (this.samples[0]?.at ?? at) > WINDOW_MS) this.samples.shift();
  }

  /** Bytes per second, or null while there are too few samples. */
  get bytesPerSecond(): number | null {
    const first = this.samples[0];
    const last = this.samples.at(-1);
    if (!first || !last || last.at - first.at < 250) return null;
    return ((last.bytes - first.bytes) / (last.at - first.at)) * 1000;
  }

  secondsLeft(totalBytes: number): number | null {
    const speed = this.bytesPerSecond;
    const sent = this.samples.at(-1)?.bytes;
    if (!speed || sent === undefined) return null;
    return Math.max(0, (totalBytes - sent) / speed);
  }
}
