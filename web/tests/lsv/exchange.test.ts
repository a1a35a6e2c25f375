import { describe, expect, it } from 'vitest';
import vectors from '../../../libs/lsv/tests/vectors/licences-v1.json';
import { toBase64Url } from '../../src/lsv/bytes';
import {
  type Binding,
  bindingInfo,
  createExchangeKeys,
  type ExchangeKeys,
  unwrapContentKey,
} from '../../src/lsv/exchange';
import { importContentKey } from '../../src/lsv/keys';
import { bytes, faultOf, flipped, hex } from './support';

const ONLINE = {
  scope: 'ONLINE_STREAM_ONLY',
  sessionId: vectors.session_id,
  videoId: vectors.video_id,
} as const satisfies Binding;
const OFFLINE = {
  scope: 'OFFLINE_PLAYBACK',
  videoId: vectors.video_id,
  deviceId: vectors.device_id,
  expiresAt: vectors.expires_at,
} as const satisfies Binding;
const CASES = [
  ['online_aes_kw', ONLINE],
  ['online_aes_gcm', ONLINE],
  ['offline_aes_kw', OFFLINE],
  ['offline_aes_gcm', OFFLINE],
] as const;
type Name = (typeof CASES)[number][0];

async function deviceKeys(): Promise<ExchangeKeys> {
  const point = bytes(vectors.device_public_key);
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    d: toBase64Url(bytes(vectors.device_private_key)),
    x: toBase64Url(point.slice(1, 33)),
    y: toBase64Url(point.slice(33)),
  };
  const algorithm = { name: 'ECDH', namedCurve: 'P-256' };
  return {
    privateKey: await crypto.subtle.importKey('jwk', jwk, algorithm, false, ['deriveBits']),
    publicKey: point,
  };
}

function grant(name: Name, scope: string, wrapped = bytes(vectors[name].wrapped_key)) {
  return {
    scope,
    server_public_key: toBase64Url(bytes(vectors.server_public_key)),
    wrapped_key: toBase64Url(wrapped),
    content_version: 1,
  };
}

async function unwrap(name: Name, binding: Binding, wrapped = bytes(vectors[name].wrapped_key)) {
  return unwrapContentKey(grant(name, binding.scope, wrapped), await deviceKeys(), binding);
}

/** Content keys can't be read, so what is derived from them is compared. */
async function fingerprint(key: CryptoKey): Promise<string> {
  const algorithm = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(16), info: new Uint8Array(0) };
  const hmac = { name: 'HMAC', hash: 'SHA-256', length: 256 };
  const derived = await crypto.subtle.deriveKey(algorithm, key, hmac, false, ['sign']);
  return hex(await crypto.subtle.sign('HMAC', derived, new Uint8Array(1)));
}

describe('licences of the vectors', () => {
  it.each(CASES)('%s unwraps to the content key', async (name, binding) => {
    const { id, key } = await unwrap(name, binding);
    expect(hex(id)).toBe(vectors.content_key_id);
    expect(await fingerprint(key)).toBe(
      await fingerprint(await importContentKey(bytes(vectors.content_key))),
    );
    expect(key.extractable).toBe(false);
  });

  it.each(CASES)('%s is bound as the page says', (name, binding) => {
    expect(hex(bindingInfo(binding, bytes(vectors[name].wrapped_key).slice(0, 20)))).toBe(vectors[name].info);
  });

  it.each(CASES)('%s is refused with any byte changed', async (name, binding) => {
    const wrapped = bytes(vectors[name].wrapped_key);
    // One bit of each byte, each time another one.
    for (let bit = 0; bit < 8 * wrapped.length; bit += 7) {
      expect(await faultOf(unwrap(name, binding, flipped(wrapped, bit))), `bit ${bit}`).not.toBe('accepted');
    }
  });

  const other = '6b1f3a5233334333833300000000000e';
  it.each<[string, Name, Binding]>([
    ['session', 'online_aes_kw', { ...ONLINE, sessionId: other }],
    ['film', 'online_aes_kw', { ...ONLINE, videoId: other }],
    ['device', 'offline_aes_kw', { ...OFFLINE, deviceId: other }],
    ['film offline', 'offline_aes_gcm', { ...OFFLINE, videoId: other }],
    ['expiry', 'offline_aes_gcm', { ...OFFLINE, expiresAt: OFFLINE.expiresAt + 1 }],
  ])('a licence for another %s is refused', async (_, name, binding) => {
    expect(await faultOf(unwrap(name, binding))).toBe('key-changed');
  });

  it('is refused by another player', async () => {
    const stranger = await createExchangeKeys();
    const answer = grant('online_aes_kw', ONLINE.scope);
    expect(await faultOf(unwrapContentKey(answer, stranger, ONLINE))).toBe('key-changed');
  });
});

describe('scope', () => {
  it.each([
    ['the answer says so', 'OFFLINE_PLAYBACK', 'online_aes_kw'],
    ['the wrapped key says so', 'ONLINE_STREAM_ONLY', 'offline_aes_kw'],
    ['the answer says nothing known', 'EVERYTHING', 'online_aes_kw'],
  ] as const)('a key of another one is refused: %s', async (_, scope, name) => {
    const keys = await deviceKeys();
    expect(await faultOf(unwrapContentKey(grant(name, scope), keys, ONLINE))).toBe('wrong-scope');
  });
});

describe('what is no licence', () => {
  it.each([
    ['nothing', ''],
    ['a prefix only', vectors.online_aes_kw.wrapped_key.slice(0, 40)],
    ['a byte too many', `${vectors.online_aes_kw.wrapped_key}00`],
  ])('is refused: %s', async (_, wrapped) => {
    expect(['unsupported', 'key-changed']).toContain(
      await faultOf(unwrap('online_aes_kw', ONLINE, bytes(wrapped))),
    );
  });

  it('is refused when it is not base64url', async () => {
    const answer = { ...grant('online_aes_kw', ONLINE.scope), wrapped_key: 'a+b/' };
    expect(await faultOf(unwrapContentKey(answer, await deviceKeys(), ONLINE))).toBe('key-changed');
  });

  it('is refused when the server’s point is not on the curve', async () => {
    const point = flipped(bytes(vectors.server_public_key), 100);
    const answer = { ...grant('online_aes_kw', ONLINE.scope), server_public_key: toBase64Url(point) };
    expect(await faultOf(unwrapContentKey(answer, await deviceKeys(), ONLINE))).toBe('key-changed');
  });
});

it('makes keys of which only the point can be read', async () => {
  const { privateKey, publicKey } = await createExchangeKeys();
  expect(privateKey.extractable).toBe(false);
  expect([publicKey.length, publicKey[0]]).toEqual([65, 4]);
});
