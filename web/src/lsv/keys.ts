import { ascii, type Bytes } from './bytes';

/** The keys of one pack; scripts can't see their bytes. */
export interface PackKeys {
  header: CryptoKey;
  record: CryptoKey;
}

/** Imports a content key, as unwrapping a licence does. */
export function importContentKey(secret: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveKey']);
}

/** Derives the keys of a pack from its content key. */
export async function derivePackKeys(contentKey: CryptoKey, packId: Bytes): Promise<PackKeys> {
  const hkdf = (info: string) => ({ name: 'HKDF', hash: 'SHA-256', salt: packId, info: ascii(info) });
  const [header, record] = await Promise.all([
    crypto.subtle.deriveKey(
      hkdf('LSV1 header key'),
      contentKey,
      { name: 'HMAC', hash: 'SHA-256', length: 256 },
      false,
      ['verify'],
    ),
    crypto.subtle.deriveKey(hkdf('LSV1 record key'), contentKey, { name: 'AES-GCM', length: 256 }, false, [
      'decrypt',
    ]),
  ]);
  return { header, record };
}

/** Returns a key of 32 bytes that wraps content keys, derived from a secret (RFC 5869). */
export async function deriveWrappingKey(
  secret: ArrayBuffer,
  salt: Bytes,
  info: Bytes,
  algorithm: 'AES-KW' | 'AES-GCM',
): Promise<CryptoKey> {
  const material = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveKey']);
  const hkdf = { name: 'HKDF', hash: 'SHA-256', salt, info };
  return crypto.subtle.deriveKey(hkdf, material, { name: algorithm, length: 256 }, false, ['unwrapKey']);
}
