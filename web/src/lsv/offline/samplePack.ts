import { ascii, type Bytes, concat, toBase64Url, uuidBytes } from '../bytes';
import { bindingInfo, type ExchangeKeys } from '../exchange';
import { NONCE_BYTES, readPrelude, TAG_BYTES } from '../layout';
import { recordScope } from '../records';
import type { IssuedLicence } from './licences';

/** A small pack with its licence, made here in place of the server, to try whether this browser can open one. */
export interface Sample {
  pack: Bytes;
  plaintexts: Bytes[];
  licence: IssuedLicence;
}

export type WrapAlgorithm = 'AES-KW' | 'AES-GCM';

const VERSION = 1;
const MAGIC_AND_IDENTIFIERS = [
  0x89, 0x4c, 0x53, 0x56, 0x0d, 0x0a, 0x1a, 0x0a, 1, 1, 1, 1, 1, 1, 0, 0,
] as const;
const MIME_TYPE = ascii('video/mp4');
const PLAINTEXT_BYTES = [256, 4096, 65_536];
const KEY_FRAME = 1;
const OFFLINE = 3;
const CURVE = { name: 'ECDH', namedCurve: 'P-256' };

/** Makes a pack of three records, and a licence for the device that has a public key. */
export async function makeSample(
  { publicKey }: ExchangeKeys,
  wrap: WrapAlgorithm,
  now = Date.now(),
): Promise<Sample> {
  const [id, videoId, deviceId, packId, keyId] = Array.from({ length: 5 }, randomId) as Five<string>;
  const secret = random(32);
  const plaintexts = PLAINTEXT_BYTES.map(random);
  const expiresAt = Math.floor(now / 1000) + 3600;
  const prefix = concat(Uint8Array.of(1, wrap === 'AES-KW' ? 1 : 2, 1, OFFLINE), uuidBytes(keyId));
  const scope = 'OFFLINE_PLAYBACK';
  const info = bindingInfo({ scope, videoId, deviceId, expiresAt }, prefix);
  return {
    pack: await writePack(secret, plaintexts, uuidBytes(videoId), uuidBytes(packId), uuidBytes(keyId)),
    plaintexts,
    licence: {
      id,
      video_id: videoId,
      device_id: deviceId,
      device_name: '',
      scope,
      issued_at: new Date(now).toISOString(),
      expires_at: new Date(1000 * expiresAt).toISOString(),
      content_version: VERSION,
      ...(await wrapFor(publicKey, secret, wrap, prefix, info)),
    },
  };
}

type Five<T> = [T, T, T, T, T];

async function writePack(
  secret: Bytes,
  plaintexts: Bytes[],
  contentId: Bytes,
  packId: Bytes,
  keyId: Bytes,
): Promise<Bytes> {
  const prelude = concat(
    Uint8Array.from(MAGIC_AND_IDENTIFIERS),
    contentId,
    numbers(0, VERSION),
    packId,
    keyId,
    numbers(1000, plaintexts.length, 4 + MIME_TYPE.length, 8 * plaintexts.length),
  );
  const lengths = plaintexts.map(({ length }) => NONCE_BYTES + length + TAG_BYTES);
  const entries = lengths.map((length, record) =>
    numbers(record === 0 ? 0 : 2000, length * 256 + (record === 0 ? 0 : KEY_FRAME)),
  );
  const signed = concat(prelude, numbers(0x10000 + MIME_TYPE.length), MIME_TYPE, ...entries);
  const [headerKey, recordKey] = await Promise.all([
    derive(secret, packId, 'LSV1 header key', { name: 'HMAC', hash: 'SHA-256', length: 256 }, 'sign'),
    derive(secret, packId, 'LSV1 record key', { name: 'AES-GCM', length: 256 }, 'encrypt'),
  ]);
  const mac = new Uint8Array(await crypto.subtle.sign('HMAC', headerKey, signed));
  const records = await Promise.all(
    plaintexts.map(async (plaintext, record) => {
      const iv = random(NONCE_BYTES);
      const additionalData = recordScope(readPrelude(prelude), record);
      const how = { name: 'AES-GCM', iv, additionalData, tagLength: 8 * TAG_BYTES };
      return concat(iv, new Uint8Array(await crypto.subtle.encrypt(how, recordKey, plaintext)));
    }),
  );
  return concat(signed, mac, ...records);
}

async function derive(
  secret: ArrayBuffer | Bytes,
  salt: Bytes,
  info: Bytes | string,
  type: AesDerivedKeyParams | HmacImportParams,
  usage: KeyUsage,
): Promise<CryptoKey> {
  const material = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveKey']);
  const how = { name: 'HKDF', hash: 'SHA-256', salt, info: typeof info === 'string' ? ascii(info) : info };
  return crypto.subtle.deriveKey(how, material, type, false, [usage]);
}

async function wrapFor(publicKey: Bytes, secret: Bytes, wrap: WrapAlgorithm, prefix: Bytes, info: Bytes) {
  const pair = await crypto.subtle.generateKey(CURVE, false, ['deriveBits']);
  const point = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
  const device = await crypto.subtle.importKey('raw', publicKey, CURVE, false, []);
  const shared = await crypto.subtle.deriveBits({ name: 'ECDH', public: device }, pair.privateKey, 256);
  const type = { name: wrap, length: 256 };
  const kek = await derive(shared, concat(publicKey, point), info, type, 'wrapKey');
  const content = await crypto.subtle.importKey('raw', secret, 'AES-GCM', true, ['encrypt']);
  const iv = random(NONCE_BYTES);
  const how = wrap === 'AES-KW' ? wrap : { name: wrap, iv, additionalData: prefix };
  const wrapped = new Uint8Array(await crypto.subtle.wrapKey('raw', content, kek, how));
  return {
    server_public_key: toBase64Url(point),
    wrapped_key: toBase64Url(concat(prefix, wrap === 'AES-KW' ? wrapped : concat(iv, wrapped))),
  };
}

/** Returns numbers of 32 bits, big-endian. */
function numbers(...values: number[]): Bytes {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [at, value] of values.entries()) view.setUint32(4 * at, value);
  return bytes;
}

function random(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length));
}

function randomId(): string {
  return crypto.randomUUID();
}
