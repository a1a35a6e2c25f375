/** Why a chunk did not come. */
export type ChunkFailure =
  /** No answer, or a broken one; or the server is away or asks for less. */
  | { kind: 'network'; retryAfterSec: number | null }
  /** The ticket is over (401, 403): the session has a fresh one. */
  | { kind: 'ticket' }
  /** The bytes are not those that were packed. */
  | { kind: 'damaged' };

/** After the first attempt; as the specification says (section 3.2). */
export const MAX_RETRIES = 2;
/** A line that broke off is rarely back at once; a damaged chunk is fetched again without a wait. */
const NETWORK_DELAYS_MS = [500, 2000];

export type Verdict = { retry: true; delayMs: number } | { retry: false };

/** Counts the attempts of each chunk, and decides what follows a failed one. */
export class RetryPolicy {
  private readonly failures = new Map<number, number>();

  failed(record: number, failure: ChunkFailure): Verdict {
    const before = this.failures.get(record) ?? 0;
    if (before >= MAX_RETRIES) return { retry: false };
    this.failures.set(record, before + 1);
    if (failure.kind !== 'network') return { retry: true, delayMs: 0 };
    const delayMs = NETWORK_DELAYS_MS[before] ?? 0;
    return { retry: true, delayMs: Math.max(delayMs, (failure.retryAfterSec ?? 0) * 1000) };
  }

  /** Whether the next request must pass by every cache, which may hold the damaged bytes. */
  isRetry(record: number): boolean {
    return this.failures.has(record);
  }

  arrived(record: number): void {
    this.failures.delete(record);
  }

  /** The viewer, or the network that is back, begins anew. */
  reset(): void {
    this.failures.clear();
  }
}
