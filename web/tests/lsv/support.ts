import pack from '../../../libs/lsv/tests/vectors/pack-v1.json';
import refused from '../../../libs/lsv/tests/vectors/refused-v1.json';
import type { Bytes } from '../../src/lsv/bytes';
import { LsvError } from '../../src/lsv/errors';
import type { ContentKey, Expected } from '../../src/lsv/header';
import { importContentKey } from '../../src/lsv/keys';

export const PACK = pack;
export const REFUSED = refused;

interface Vectors {
  content_key: string;
  content_key_id: string;
  content_id: string;
  content_version: number;
}

export function bytes(hex: string): Bytes {
  return Uint8Array.from({ length: hex.length / 2 }, (_, at) => Number.parseInt(hex.substr(2 * at, 2), 16));
}

export function hex(data: Uint8Array | ArrayBuffer): string {
  return [...new Uint8Array(data)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

export async function contentKey(vectors: Vectors): Promise<ContentKey> {
  return { id: bytes(vectors.content_key_id), key: await importContentKey(bytes(vectors.content_key)) };
}

export function expected(vectors: Vectors): Expected {
  return { contentId: bytes(vectors.content_id), contentVersion: BigInt(vectors.content_version) };
}

/** Returns a copy with one bit changed. */
export function flipped(data: Bytes, bit: number): Bytes {
  const copy = data.slice();
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

/** Returns why something is refused. */
export async function faultOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof LsvError) return error.fault;
    throw error;
  }
  return 'accepted';
}
