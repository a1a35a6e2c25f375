import { type Bytes, isEqual } from './bytes';
import { LsvError } from './errors';
import { derivePackKeys, type PackKeys } from './keys';
import {
  authenticatedBytes,
  type Entry,
  MAC_BYTES,
  PRELUDE_BYTES,
  type Prelude,
  readIndex,
  readPrelude,
  readProperties,
} from './layout';

/** What a reader was promised: a pack that is authentic, but another, is refused. */
export interface Expected {
  contentId: Bytes;
  contentVersion: bigint;
}

/** A content key as a licence gives it. */
export interface ContentKey {
  id: Bytes;
  key: CryptoKey;
}

/** An authentic header: what the pack holds, and where its records are. */
export interface Header {
  prelude: Prelude;
  mimeType: string;
  /** The first is the initialisation segment, the others are chunks in order of time. */
  entries: readonly Entry[];
  /** Where each record begins in the pack, and the length of the pack. */
  offsets: readonly number[];
}

/** Returns how many bytes the header has, from its first 88. Throws `LsvError`. */
export function headerBytes(raw: Bytes): number {
  return authenticatedBytes(readPrelude(raw)) + MAC_BYTES;
}

/**
 * Authenticates and reads a header, in the order that the format demands: nothing behind the prelude is looked at
 * before its MAC is right. Bytes behind the header are ignored.
 *
 * @param packBytes length of the whole pack, if known
 * @throws LsvError
 */
export async function openHeader(
  raw: Bytes,
  content: ContentKey,
  expected: Expected,
  packBytes: number | null,
): Promise<{ header: Header; keys: PackKeys }> {
  const prelude = readPrelude(raw);
  if (!isEqual(prelude.keyId, content.id)) throw new LsvError('wrong-key', 'the pack needs another key');
  const end = authenticatedBytes(prelude);
  if (raw.length < end + MAC_BYTES) throw new LsvError('truncated', 'the pack ends within its header');
  const keys = await derivePackKeys(content.key, prelude.packId);
  const mac = raw.subarray(end, end + MAC_BYTES);
  if (!(await crypto.subtle.verify('HMAC', keys.header, mac, raw.subarray(0, end)))) {
    throw new LsvError('header-changed', 'the header is not authentic');
  }
  const header = parse(prelude, raw.subarray(PRELUDE_BYTES, end), end + MAC_BYTES);
  const isExpected =
    isEqual(prelude.contentId, expected.contentId) && prelude.contentVersion === expected.contentVersion;
  if (!isExpected) throw new LsvError('wrong-content', 'the pack is of another film, or of another version');
  checkLength(header, packBytes);
  return { header, keys };
}

function parse(prelude: Prelude, rest: Bytes, recordsStart: number): Header {
  const mimeType = readProperties(rest.subarray(0, prelude.propertiesBytes));
  const entries = readIndex(rest.subarray(prelude.propertiesBytes), prelude.recordCount);
  if (prelude.timescale === 0) throw new LsvError('malformed', 'a timescale is a positive number');
  const offsets = [recordsStart];
  for (const { length } of entries) offsets.push((offsets.at(-1) ?? 0) + length);
  return { prelude, mimeType, entries, offsets };
}

function checkLength({ offsets }: Header, packBytes: number | null): void {
  const length = offsets.at(-1) ?? 0;
  if (packBytes === null || packBytes === length) return;
  if (packBytes < length) throw new LsvError('truncated', 'the pack ends before its last record');
  throw new LsvError('trailing', 'bytes follow the last record');
}
