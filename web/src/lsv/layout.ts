import type { Bytes } from './bytes';
import { LsvError } from './errors';

/** Numbers and fixed structures of the format: docs/reference/lsv-format.md. */
export const PRELUDE_BYTES = 88;
export const MAC_BYTES = 32;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;

const MAGIC = [0x89, 0x4c, 0x53, 0x56, 0x0d, 0x0a, 0x1a, 0x0a];
const ENTRY_BYTES = 8;
const PROPERTY_BYTES = 4;
const MAX_PROPERTIES_BYTES = 65_536;
const MAX_INDEX_BYTES = 2_097_152;
const MAX_PLAINTEXT_BYTES = 1_572_864;
const OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES;
const KEY_FRAME = 0x01;
const MIME_TYPE = 0x0001;
const OPTIONAL = 0x8000;
const MAX_MIME_BYTES = 255;
/** Bytes 8 to 15: versions, algorithms and flags. */
const IDENTIFIERS = [1, 1, 1, 1, 1, 1, 0, 0];

/** The first 88 bytes of a pack, not yet authenticated. */
export interface Prelude {
  contentId: Bytes;
  contentVersion: bigint;
  packId: Bytes;
  keyId: Bytes;
  timescale: number;
  recordCount: number;
  propertiesBytes: number;
  indexBytes: number;
}

/** A record as the index describes it; times in ticks. */
export interface Entry {
  duration: number;
  length: number;
  beginsWithKeyFrame: boolean;
}

export function authenticatedBytes({ propertiesBytes, indexBytes }: Prelude): number {
  return PRELUDE_BYTES + propertiesBytes + indexBytes;
}

/** Step 1 of what a reader does. Throws `LsvError`. */
export function readPrelude(raw: Bytes): Prelude {
  if (MAGIC.some((byte, at) => at < raw.length && raw[at] !== byte)) {
    throw new LsvError('not-a-pack', 'the file is no LSV pack');
  }
  if (raw.length < PRELUDE_BYTES) throw new LsvError('truncated', 'the pack ends within its prelude');
  IDENTIFIERS.forEach((value, at) => {
    if (raw[8 + at] !== value) throw new LsvError('unsupported', `byte ${8 + at} of the prelude is unknown`);
  });
  const view = new DataView(raw.buffer, raw.byteOffset, PRELUDE_BYTES);
  const prelude: Prelude = {
    contentId: raw.slice(16, 32),
    contentVersion: view.getBigUint64(32),
    packId: raw.slice(40, 56),
    keyId: raw.slice(56, 72),
    timescale: view.getUint32(72),
    recordCount: view.getUint32(76),
    propertiesBytes: view.getUint32(80),
    indexBytes: view.getUint32(84),
  };
  if (prelude.propertiesBytes > MAX_PROPERTIES_BYTES || prelude.indexBytes > MAX_INDEX_BYTES) {
    throw malformed('the header is longer than allowed');
  }
  return prelude;
}

/** Returns the MIME type out of the properties. Throws `LsvError`. */
export function readProperties(raw: Bytes): string {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  let mimeType: string | null = null;
  let before = -1;
  for (let at = 0; at < raw.length; ) {
    if (raw.length - at < PROPERTY_BYTES) throw malformed('a property is cut off');
    const kind = view.getUint16(at);
    const length = view.getUint16(at + 2);
    at += PROPERTY_BYTES;
    if (raw.length - at < length || kind <= before) {
      throw malformed('properties are cut off, or not in ascending order');
    }
    if (kind === MIME_TYPE) mimeType = String.fromCharCode(...raw.subarray(at, at + length));
    else if (kind < OPTIONAL) throw new LsvError('unsupported', `property ${kind} is unknown`);
    at += length;
    before = kind;
  }
  if (mimeType === null) throw malformed('the pack has no MIME type');
  if (mimeType.length > MAX_MIME_BYTES || !/^[\x20-\x7e]+$/.test(mimeType)) {
    throw malformed('a MIME type is 1 to 255 printable ASCII characters');
  }
  return mimeType;
}

/** Returns the entries of the index. Throws `LsvError`. */
export function readIndex(raw: Bytes, recordCount: number): Entry[] {
  if (raw.length !== ENTRY_BYTES * recordCount) throw malformed('the index has another number of records');
  if (recordCount < 2) throw malformed('a pack has an initialisation segment and at least one chunk');
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  return Array.from({ length: recordCount }, (_, index) => {
    const word = view.getUint32(ENTRY_BYTES * index + 4);
    const flags = word & 0xff;
    if (flags & ~KEY_FRAME) throw malformed(`record ${index} has unknown flags`);
    const entry = {
      duration: view.getUint32(ENTRY_BYTES * index),
      length: word >>> 8,
      beginsWithKeyFrame: flags === KEY_FRAME,
    };
    checkEntry(entry, index);
    return entry;
  });
}

function checkEntry({ duration, length, beginsWithKeyFrame }: Entry, index: number): void {
  if (length <= OVERHEAD_BYTES || length > MAX_PLAINTEXT_BYTES + OVERHEAD_BYTES) {
    throw malformed(`record ${index} is empty or too long`);
  }
  if (index === 0 && (duration > 0 || beginsWithKeyFrame)) {
    throw malformed('the initialisation segment has neither duration nor pictures');
  }
  if (index > 0 && duration === 0) throw malformed(`record ${index} has no duration`);
  if (index === 1 && !beginsWithKeyFrame) throw malformed('the first chunk does not begin with a key frame');
}

function malformed(message: string): LsvError {
  return new LsvError('malformed', message);
}
