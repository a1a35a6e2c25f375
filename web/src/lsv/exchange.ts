import type { KeyGrant } from '../api/types';
import { ascii, type Bytes, concat, fromBase64Url, uuidBytes } from './bytes';
import { LsvError } from './errors';
import type { ContentKey } from './header';
import { deriveWrappingKey } from './keys';

/** What a content key may be used for; the same words as in the API. */
export type Scope = 'ONLINE_STREAM_ONLY' | 'OFFLINE_PLAYBACK';

/** What the key that unwraps is bound to. */
export type Binding =
  | { scope: 'ONLINE_STREAM_ONLY'; sessionId: string; videoId: string }
  /** `expiresAt` in seconds since 1970. */
  | { scope: 'OFFLINE_PLAYBACK'; videoId: string; deviceId: string; expiresAt: number };

/** The player's half of the exchange. The private key can't be read by scripts. */
export interface ExchangeKeys {
  privateKey: CryptoKey;
  /** The uncompressed point, 65 bytes. */
  publicKey: Bytes;
}

const CURVE = { name: 'ECDH', namedCurve: 'P-256' };
const PREFIX_BYTES = 20;
const POINT_BYTES = 65;
const SCOPE_BYTES = { ONLINE_STREAM_ONLY: 2, OFFLINE_PLAYBACK: 3 } as const;
const WRAPS = {
  1: { algorithm: 'AES-KW', bytes: 40 },
  2: { algorithm: 'AES-GCM', bytes: 60 },
} as const;

export async function createExchangeKeys(): Promise<ExchangeKeys> {
  const pair = await crypto.subtle.generateKey(CURVE, false, ['deriveBits']);
  const point = await crypto.subtle.exportKey('raw', pair.publicKey);
  return { privateKey: pair.privateKey, publicKey: new Uint8Array(point) };
}

/**
 * Unwraps a content key, and returns it as a key that scripts can't read.
 *
 * The scope is checked first, in the answer and in the wrapped key: a key for another use is refused before it exists.
 *
 * @throws LsvError
 */
export async function unwrapContentKey(
  grant: KeyGrant,
  keys: ExchangeKeys,
  binding: Binding,
): Promise<ContentKey> {
  if (grant.scope !== binding.scope) throw new LsvError('wrong-scope', `the key is for ${grant.scope}`);
  const wrapped = decode(grant.wrapped_key);
  const point = decode(grant.server_public_key);
  const prefix = wrapped.subarray(0, PREFIX_BYTES);
  const payload = wrapped.subarray(PREFIX_BYTES);
  const [version, algorithm, derivation, scope] = prefix;
  const wrap = algorithm === 1 || algorithm === 2 ? WRAPS[algorithm] : null;
  if (version !== 1 || derivation !== 1 || !wrap) {
    throw new LsvError('unsupported', 'the content key is wrapped in an unknown way');
  }
  if (scope !== SCOPE_BYTES[binding.scope]) throw new LsvError('wrong-scope', 'the key is for another use');
  if (payload.length !== wrap.bytes || point.length !== POINT_BYTES) throw keyChanged();
  try {
    const server = await crypto.subtle.importKey('raw', point, CURVE, false, []);
    const secret = await crypto.subtle.deriveBits({ name: 'ECDH', public: server }, keys.privateKey, 256);
    const salt = concat(keys.publicKey, point);
    const kek = await deriveWrappingKey(secret, salt, bindingInfo(binding, prefix), wrap.algorithm);
    return { id: prefix.slice(4), key: await unwrap(payload, kek, wrap.algorithm, prefix) };
  } catch {
    throw keyChanged();
  }
}

function unwrap(payload: Bytes, kek: CryptoKey, algorithm: 'AES-KW' | 'AES-GCM', prefix: Bytes) {
  const isGcm = algorithm === 'AES-GCM';
  const how = isGcm ? { name: algorithm, iv: payload.subarray(0, 12), additionalData: prefix } : algorithm;
  const wrapped = isGcm ? payload.subarray(12) : payload;
  return crypto.subtle.unwrapKey('raw', wrapped, kek, how, 'HKDF', false, ['deriveKey']);
}

/** Returns the `info` of HKDF: a licence of which any of this was changed does not unwrap. */
export function bindingInfo(binding: Binding, prefix: Bytes): Bytes {
  const video = uuidBytes(binding.videoId);
  if (binding.scope === 'ONLINE_STREAM_ONLY') {
    return concat(ascii('LSV_ONLINE_V1'), prefix, uuidBytes(binding.sessionId), video);
  }
  const expiry = new Uint8Array(8);
  new DataView(expiry.buffer).setBigUint64(0, BigInt(binding.expiresAt));
  return concat(ascii('LSV_OFFLINE_V1'), prefix, video, uuidBytes(binding.deviceId), expiry);
}

function decode(text: string): Bytes {
  try {
    return fromBase64Url(text);
  } catch {
    throw keyChanged();
  }
}

function keyChanged(): LsvError {
  return new LsvError('key-changed', 'the content key does not unwrap');
}
