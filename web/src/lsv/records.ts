import { ascii, type Bytes } from './bytes';
import { LsvError } from './errors';
import { NONCE_BYTES, type Prelude, TAG_BYTES } from './layout';

const LABEL = ascii('LSV1.REC');

/** Returns the associated data of a record: where it belongs. */
export function recordScope({ contentId, contentVersion, packId }: Prelude, index: number): Bytes {
  const scope = new Uint8Array(52);
  const view = new DataView(scope.buffer);
  scope.set(LABEL);
  scope.set(contentId, 8);
  view.setBigUint64(24, contentVersion);
  scope.set(packId, 32);
  view.setUint32(48, index);
  return scope;
}

/** Returns the plaintext of a record. Throws `LsvError` if any of its bits, or its place, is another. */
export async function decryptRecord(
  record: Bytes,
  index: number,
  prelude: Prelude,
  key: CryptoKey,
): Promise<ArrayBuffer> {
  if (record.length <= NONCE_BYTES + TAG_BYTES) throw changed(index);
  const algorithm = {
    name: 'AES-GCM',
    iv: record.subarray(0, NONCE_BYTES),
    additionalData: recordScope(prelude, index),
    tagLength: 8 * TAG_BYTES,
  };
  try {
    return await crypto.subtle.decrypt(algorithm, key, record.subarray(NONCE_BYTES));
  } catch {
    throw changed(index);
  }
}

function changed(index: number): LsvError {
  return new LsvError('record-changed', `record ${index} is not authentic`);
}
