import { ApiError, retryAfterOf } from '../api/errors';

export interface BulkOutcome<Item> {
  done: Item[];
  failed: { item: Item; error: unknown }[];
}

const MOST_WAITS = 5;
const DEFAULT_WAIT_SEC = 2;

/**
 * Does something with each item, one after the other, so that a long selection does not crowd the server. A failure does
 * not stop the others; a limit of requests is waited for, up to 5 times an item.
 */
export async function runBulk<Item>(
  items: readonly Item[],
  task: (item: Item) => Promise<unknown>,
  { wait, onProgress }: { wait: (ms: number) => Promise<void>; onProgress?: (finished: number) => void },
): Promise<BulkOutcome<Item>> {
  const outcome: BulkOutcome<Item> = { done: [], failed: [] };
  for (const item of items) {
    try {
      await withinLimits(() => task(item), wait);
      outcome.done.push(item);
    } catch (error) {
      outcome.failed.push({ item, error });
    }
    onProgress?.(outcome.done.length + outcome.failed.length);
  }
  return outcome;
}

async function withinLimits(
  task: () => Promise<unknown>,
  wait: (ms: number) => Promise<void>,
): Promise<void> {
  for (let waits = 0; ; waits += 1) {
    try {
      await task();
      return;
    } catch (error) {
      const isLimited = error instanceof ApiError && error.status === 429;
      if (!isLimited || waits >= MOST_WAITS) throw error;
      await wait((retryAfterOf(error) ?? DEFAULT_WAIT_SEC) * 1000);
    }
  }
}
