import type { Header } from '../header';

/** In one request: enough that waiting for answers costs little, and little enough to lose. */
export const REQUEST_BYTES = 2 * 1024 * 1024;

/** Records that lie side by side in a pack, and are fetched in one request. */
export interface Run {
  first: number;
  count: number;
  offset: number;
  length: number;
}

type Index = Pick<Header, 'entries' | 'offsets'>;

/**
 * Returns the next records to fetch, or null if all are there.
 *
 * @param present for each record, whether it is stored
 */
export function nextRun({ entries, offsets }: Index, present: ArrayLike<number>): Run | null {
  let first = 0;
  while (first < entries.length && present[first]) first += 1;
  if (first === entries.length) return null;
  let count = 0;
  let length = 0;
  for (let record = first; record < entries.length && !present[record]; record += 1) {
    const { length: own } = entries[record] ?? { length: 0 };
    if (count > 0 && length + own > REQUEST_BYTES) break;
    count += 1;
    length += own;
  }
  return { first, count, offset: offsets[first] ?? 0, length };
}

export interface Progress {
  /** Stored and checked, with the header. */
  bytes: number;
  /** Of the whole pack. */
  totalBytes: number;
}

export function progressOf({ entries, offsets }: Index, present: ArrayLike<number>): Progress {
  const stored = entries.reduce((sum, { length }, record) => sum + (present[record] ? length : 0), 0);
  return { bytes: (offsets[0] ?? 0) + stored, totalBytes: offsets.at(-1) ?? 0 };
}

/** Kept free beside the film: a browser without room fails in ways that nothing reports. */
const SPARE_BYTES = 64 * 1024 * 1024;

/** Returns how many bytes this browser lacks for as many more; 0 if there is room, or if it does not say. */
export function lackingBytes(more: number, { quota, usage }: StorageEstimate): number {
  if (quota === undefined || usage === undefined) return 0;
  return Math.max(0, more + SPARE_BYTES - (quota - usage));
}
