import { describe, expect, it } from 'vitest';
import { headerBytes, openHeader } from '../../src/lsv/header';
import { decryptRecord } from '../../src/lsv/records';
import { bytes, contentKey, expected, faultOf, flipped, hex, PACK, REFUSED } from './support';

const raw = bytes(PACK.pack);
const headerLength = PACK.header.length / 2;

async function open(data = raw, packBytes: number | null = data.length) {
  return openHeader(data, await contentKey(PACK), expected(PACK), packBytes);
}

describe('header of the vector', () => {
  it('says what the pack holds', async () => {
    const { header } = await open();
    expect(headerBytes(raw.subarray(0, 88))).toBe(headerLength);
    expect(header.mimeType).toBe(PACK.mime_type);
    expect(header.prelude.timescale).toBe(PACK.timescale);
    expect(header.entries.slice(1).map(({ duration }) => duration)).toEqual(
      PACK.chunks.map(({ duration }) => duration),
    );
    expect(header.entries.slice(1).map(({ beginsWithKeyFrame }) => beginsWithKeyFrame)).toEqual(
      PACK.chunks.map(({ begins_with_key_frame }) => begins_with_key_frame),
    );
    expect(header.offsets.at(-1)).toBe(raw.length);
  });

  it('is refused with any bit changed', async () => {
    for (let bit = 0; bit < 8 * headerLength; bit += 1) {
      expect(await faultOf(open(flipped(raw, bit))), `bit ${bit}`).not.toBe('accepted');
    }
  });

  it('is refused when it is cut off anywhere', async () => {
    for (let length = 0; length < headerLength; length += 1) {
      expect(await faultOf(open(raw.slice(0, length), null)), `${length} bytes`).toBe('truncated');
    }
  });

  it('is authenticated before it is parsed', async () => {
    const refused = Object.values(REFUSED.refused)[19] ?? '';
    const key = await contentKey(REFUSED);
    const data = flipped(bytes(refused), 8 * 90);
    expect(await faultOf(openHeader(data, key, expected(REFUSED), null))).toBe('header-changed');
  });

  it('needs the key that it names, and the secret of that key', async () => {
    const key = await contentKey(PACK);
    const wanted = expected(PACK);
    expect(await faultOf(openHeader(raw, { ...key, id: new Uint8Array(16) }, wanted, null))).toBe(
      'wrong-key',
    );
    const other = await contentKey({ ...PACK, content_key: '00'.repeat(32) });
    expect(await faultOf(openHeader(raw, other, wanted, null))).toBe('header-changed');
  });

  it('must be of the film and of the version that were promised', async () => {
    const key = await contentKey(PACK);
    const wanted = expected(PACK);
    const older = { ...wanted, contentVersion: wanted.contentVersion + 1n };
    expect(await faultOf(openHeader(raw, key, older, null))).toBe('wrong-content');
    const another = { ...wanted, contentId: new Uint8Array(16) };
    expect(await faultOf(openHeader(raw, key, another, null))).toBe('wrong-content');
  });

  it('must fit the length of the pack', async () => {
    expect(await faultOf(open(raw, raw.length - 1))).toBe('truncated');
    expect(await faultOf(open(raw, raw.length + 1))).toBe('trailing');
    expect(await faultOf(open(raw, null))).toBe('accepted');
  });
});

describe('packs that are authentic', () => {
  const openVector = async (data: string) =>
    openHeader(bytes(data), await contentKey(REFUSED), expected(REFUSED), data.length / 2);

  it.each(Object.entries(REFUSED.accepted))('is accepted: %s', async (_, data) => {
    expect(await faultOf(openVector(data))).toBe('accepted');
  });

  it.each(Object.entries(REFUSED.refused))('is refused: %s', async (_, data) => {
    const fault = await faultOf(openVector(data));
    expect(['unsupported', 'malformed', 'trailing']).toContain(fault);
  });
});

describe('records of the vector', () => {
  const plaintexts = [PACK.init, ...PACK.chunks.map(({ plaintext }) => plaintext)];

  async function record(index: number) {
    const { header, keys } = await open();
    const { prelude, offsets } = header;
    const data = raw.slice(offsets[index], offsets[index + 1]);
    return {
      data,
      decrypt: (changed = data, as = index) => decryptRecord(changed, as, prelude, keys.record),
    };
  }

  it.each(plaintexts.map((plaintext, index) => [index, plaintext] as const))(
    'decrypts record %i',
    async (index, plaintext) => {
      const { decrypt } = await record(index);
      expect(hex(await decrypt())).toBe(plaintext);
    },
  );

  it('refuses a record with any bit changed', async () => {
    const { data, decrypt } = await record(1);
    for (let bit = 0; bit < 8 * data.length; bit += 1) {
      expect(await faultOf(decrypt(flipped(data, bit))), `bit ${bit}`).toBe('record-changed');
    }
  });

  it('refuses a record that is cut off, or in the place of another', async () => {
    const { data, decrypt } = await record(2);
    expect(await faultOf(decrypt(data.slice(0, -1)))).toBe('record-changed');
    expect(await faultOf(decrypt(data.slice(0, 28)))).toBe('record-changed');
    expect(await faultOf(decrypt(data, 3))).toBe('record-changed');
  });

  it('has keys that scripts can’t read', async () => {
    const { keys } = await open();
    expect([keys.header.extractable, keys.record.extractable]).toEqual([false, false]);
  });
});
