import { isEqual, uuidBytes } from '../bytes';
import { createExchangeKeys, type ExchangeKeys, unwrapContentKey } from '../exchange';
import { openHeader } from '../header';
import { decryptRecord } from '../records';
import type { Database } from './database';
import { bindingOf, type IssuedLicence } from './licences';
import type { PackFiles } from './packFile';
import { makeSample, type Sample, type WrapAlgorithm } from './samplePack';

/** What failed, in the order in which it is tried. */
export type SelfTestStep =
  | 'make'
  | 'store-key'
  | 'read-key'
  | 'store-film'
  | 'read-film'
  | 'unwrap'
  | 'decrypt';

export type SelfTestResult = { ok: true; wrap: WrapAlgorithm } | { ok: false; failed: SelfTestStep };

const KEY = 'self-test';
const WRAPS = ['AES-KW', 'AES-GCM'] as const;

interface Stored {
  keys: ExchangeKeys;
  licence: IssuedLicence;
}

/**
 * Does in this browser, with a small pack made here, all that playing offline needs: make, wrap, store, read back,
 * unwrap, decrypt. Leaves nothing behind.
 */
export async function selfTest(database: Database, files: PackFiles): Promise<SelfTestResult> {
  let result: SelfTestResult = { ok: false, failed: 'make' };
  for (const wrap of WRAPS) {
    result = await tryOut(wrap, database, files);
    if (result.ok || result.failed !== 'unwrap') break;
  }
  await Promise.allSettled([database.delete('device', KEY), files.remove(KEY)]);
  return result;
}

async function tryOut(wrap: WrapAlgorithm, database: Database, files: PackFiles): Promise<SelfTestResult> {
  let step: SelfTestStep = 'make';
  try {
    const keys = await createExchangeKeys();
    const sample = await makeSample(keys, wrap);
    step = 'store-key';
    await database.put('device', KEY, { keys, licence: sample.licence } satisfies Stored);
    step = 'read-key';
    const stored = await database.get<Stored>('device', KEY);
    if (!stored || stored.keys.privateKey.extractable) throw new Error('the key is not what was stored');
    step = 'store-film';
    await storePack(sample, files);
    step = 'read-film';
    const pack = (await (await files.read(KEY))?.read(0, sample.pack.length + 1))?.bytes;
    if (!pack || !isEqual(pack, sample.pack)) throw new Error('the film is not what was stored');
    step = 'unwrap';
    const { licence } = stored;
    const content = await unwrapContentKey(licence, stored.keys, bindingOf(licence));
    step = 'decrypt';
    const expected = {
      contentId: uuidBytes(licence.video_id),
      contentVersion: BigInt(licence.content_version),
    };
    const { header, keys: packKeys } = await openHeader(pack, content, expected, pack.length);
    for (const [record, plaintext] of sample.plaintexts.entries()) {
      const bytes = pack.subarray(header.offsets[record], header.offsets[record + 1]);
      const decrypted = await decryptRecord(bytes, record, header.prelude, packKeys.record);
      if (!isEqual(new Uint8Array(decrypted), plaintext)) throw new Error('the film is not what was packed');
    }
    return { ok: true, wrap };
  } catch {
    return { ok: false, failed: step };
  }
}

async function storePack({ pack, plaintexts }: Sample, files: PackFiles): Promise<void> {
  const writer = await files.write(KEY);
  try {
    const middle = pack.length >> 1;
    writer.begin(pack.subarray(0, middle), plaintexts.length);
    const read = writer.write(pack.subarray(middle), middle);
    if (!isEqual(read, pack.subarray(middle))) throw new Error('the film is not what was stored');
    writer.confirm(0, plaintexts.length);
  } finally {
    writer.close();
  }
}
