import { describe, expect, it } from 'vitest';
import { createExchangeKeys } from '../../src/lsv/exchange';
import { ClockGuard, judge, momentOf, secondsOf, TOLERANCE_SEC } from '../../src/lsv/offline/clock';
import { lackingBytes, nextRun, progressOf, REQUEST_BYTES } from '../../src/lsv/offline/downloadPlan';
import { bindingOf, type KeptPosition, LicenceStore, maySend } from '../../src/lsv/offline/licences';
import { StoreFullError } from '../../src/lsv/offline/packFile';
import { makeSample } from '../../src/lsv/offline/samplePack';
import { selfTest } from '../../src/lsv/offline/selfTest';
import { type Disk, FakeFiles, fakeDatabase, storedFilm } from './offlineSupport';

const TERM = { issuedAt: 1000, expiresAt: 10_000 };

describe('term of a licence', () => {
  it.each([
    [1000, 0, 'valid'],
    [9999, 9000, 'valid'],
    [10_000, 9000, 'expired'],
    [50_000, 0, 'expired'],
    [1000 - TOLERANCE_SEC, 0, 'valid'],
    [999 - TOLERANCE_SEC, 0, 'clock-turned-back'],
    [5000, 5000 + TOLERANCE_SEC, 'valid'],
    [5000, 5001 + TOLERANCE_SEC, 'clock-turned-back'],
    // Within the tolerance, an ended licence does not come back.
    [9900, 10_100, 'expired'],
  ] as const)('at %d, having seen %d: %s', (now, seen, verdict) => {
    expect(judge(TERM, seen, now)).toBe(verdict);
  });

  it('remembers the latest moment across restarts, until the server says another', async () => {
    const disk: Disk = new Map();
    let now = 8000;
    const guard = () => new ClockGuard(fakeDatabase(disk), () => now);
    expect(await guard().judge(TERM)).toBe('valid');
    now = 2000;
    expect(await guard().judge(TERM)).toBe('clock-turned-back');
    now = 8001;
    expect(await guard().judge(TERM)).toBe('valid');
    now = 900_000;
    await guard().judge(TERM);
    now = 8100;
    expect(await guard().judge(TERM)).toBe('clock-turned-back');
    await guard().set(8099);
    expect(await guard().judge(TERM)).toBe('valid');
  });

  it('reads moments of answers and licences', () => {
    expect(momentOf(new Headers({ Date: 'Thu, 01 Jan 1970 00:16:40 GMT' }))).toBe(1000);
    expect(momentOf(new Headers())).toBeNull();
    expect(secondsOf('1970-01-01T00:16:40Z')).toBe(1000);
  });
});

describe('download plan', () => {
  const index = (lengths: number[]) => {
    const offsets = [100];
    for (const length of lengths) offsets.push((offsets.at(-1) ?? 0) + length);
    return { entries: lengths.map((length) => ({ length, duration: 1, beginsWithKeyFrame: true })), offsets };
  };

  it('fetches what is missing, side by side, as much as one request should bring', () => {
    const half = REQUEST_BYTES / 2;
    const pack = index([10, half, half, 10, 10]);
    expect(nextRun(pack, [0, 0, 0, 0, 0])).toEqual({ first: 0, count: 2, offset: 100, length: 10 + half });
    expect(nextRun(pack, [1, 1, 0, 0, 0])).toMatchObject({ first: 2, count: 3 });
    expect(nextRun(pack, [1, 0, 1, 0, 1])).toMatchObject({ first: 1, count: 1 });
    expect(nextRun(pack, [1, 1, 1, 0, 1])).toEqual({
      first: 3,
      count: 1,
      offset: 110 + 2 * half,
      length: 10,
    });
    expect(nextRun(pack, [1, 1, 1, 1, 1])).toBeNull();
  });

  it('fetches a record that is larger than a request should be', () => {
    expect(nextRun(index([10, 2 * REQUEST_BYTES, 10]), [1, 0, 0])).toMatchObject({ first: 1, count: 1 });
  });

  it('counts what is there, with the header', () => {
    const pack = index([10, 20, 30]);
    expect(progressOf(pack, [0, 0, 0])).toEqual({ bytes: 100, totalBytes: 160 });
    expect(progressOf(pack, [1, 0, 1])).toEqual({ bytes: 140, totalBytes: 160 });
    expect(progressOf(pack, [1, 1, 1])).toEqual({ bytes: 160, totalBytes: 160 });
  });

  it('asks for room beside the film, where the browser says how much there is', () => {
    expect(lackingBytes(100e6, { quota: 1e9, usage: 0 })).toBe(0);
    expect(lackingBytes(100e6, { quota: 1e9, usage: 950e6 })).toBeGreaterThan(50e6);
    expect(lackingBytes(100e6, {})).toBe(0);
  });
});

describe('licence store', () => {
  it('keeps one key for the device, which scripts can’t read, across restarts and tabs', async () => {
    const disk: Disk = new Map();
    const [one, other] = await Promise.all(
      [fakeDatabase(disk), fakeDatabase(disk)].map((database) => new LicenceStore(database).device()),
    );
    const later = await new LicenceStore(fakeDatabase(disk)).device();
    expect([other?.id, later.id]).toEqual([one?.id, one?.id]);
    expect(later.keys.publicKey).toEqual(one?.keys.publicKey);
    expect(later.keys.privateKey.extractable).toBe(false);
  });

  it('lists the films of one viewer, those first that end first', async () => {
    const disk: Disk = new Map();
    const licences = new LicenceStore(fakeDatabase(disk));
    const { licence } = await makeSample(await createExchangeKeys(), 'AES-KW');
    const other = { ...licence, video_id: crypto.randomUUID(), expires_at: '2001-01-01T00:00:00Z' };
    await licences.put(storedFilm(licence));
    await licences.put(storedFilm(other));
    await licences.put(storedFilm(licence, { userId: 'minjun' }));
    const films = await new LicenceStore(fakeDatabase(disk)).ofUser('hana');
    expect(films.map(({ video }) => video.id)).toEqual([other.video_id, licence.video_id]);
    await licences.delete('hana', other.video_id);
    expect(await licences.find('hana', other.video_id)).toBeNull();
    expect(await licences.find('minjun', licence.video_id)).not.toBeNull();
  });

  it('says what a key is bound to, in whole seconds', async () => {
    const { licence } = await makeSample(await createExchangeKeys(), 'AES-KW', 1_800_000_000_000);
    expect(bindingOf(licence)).toMatchObject({ scope: 'OFFLINE_PLAYBACK', expiresAt: 1_800_003_600 });
  });

  it('sends no position over one that was saved later elsewhere', () => {
    const kept: KeptPosition = {
      userId: 'hana',
      videoId: 'v',
      position: 30,
      duration: 60,
      session_id: 's',
      seq: 1,
      at: Date.parse('2026-11-30T12:00:00Z'),
      isSent: false,
    };
    const saved = (updated_at: string) => ({
      content_id: 'v',
      position: 50,
      duration: 60,
      progress_percent: 83,
      completed: false,
      updated_at,
    });
    const now = kept.at + 1000;
    expect(maySend(kept, null, 0, now)).toBe(true);
    expect(maySend(kept, saved('2026-11-30T11:59:59Z'), 0, now)).toBe(true);
    expect(maySend(kept, saved('2026-11-30T12:00:01Z'), 0, now)).toBe(false);
    expect(maySend({ ...kept, isSent: true }, null)).toBe(false);
  });
});

describe('pack files', () => {
  const header = new Uint8Array(100).fill(7);
  const record = (value: number) => new Uint8Array(50).fill(value);

  it('count records only once they were confirmed, and know them after a crash', async () => {
    const disk = new FakeFiles();
    const writer = await disk.packs.write('film');
    writer.begin(header, 3);
    expect(writer.write(record(1), 100)).toEqual(record(1));
    expect([...writer.present]).toEqual([0, 0, 0]);
    writer.confirm(0, 1);
    writer.write(record(2), 150);
    disk.crash();

    const again = await disk.packs.write('film');
    again.begin(header, 3);
    expect([...again.present]).toEqual([1, 0, 0]);
    again.forget(0);
    again.close();
    const last = await disk.packs.write('film');
    last.begin(header, 3);
    expect([...last.present]).toEqual([0, 0, 0]);
    expect((await (await disk.packs.read('film'))?.read(100, 50))?.bytes).toEqual(record(1));
  });

  it('begin anew with another header', async () => {
    const disk = new FakeFiles();
    const writer = await disk.packs.write('film');
    writer.begin(header, 2);
    writer.write(record(1), 100);
    writer.confirm(0, 1);
    writer.close();
    const other = await disk.packs.write('film');
    other.begin(new Uint8Array(100).fill(8), 2);
    expect([...other.present]).toEqual([0, 0]);
    expect((await (await disk.packs.read('film'))?.read(0, 1000))?.bytes.length).toBe(100);
  });

  it('are written by one at a time, say when there is no room, and are gone when removed', async () => {
    const disk = new FakeFiles();
    const writer = await disk.packs.write('film');
    await expect(disk.packs.write('film')).rejects.toThrow('open elsewhere');
    writer.begin(header, 2);
    disk.roomBytes = 10;
    expect(() => writer.write(record(1), 100)).toThrow(StoreFullError);
    writer.close();
    await disk.packs.remove('film');
    await disk.packs.remove('film');
    expect(await disk.packs.read('film')).toBeNull();
  });
});

describe('self-test', () => {
  it('passes where everything works, and leaves nothing behind', async () => {
    const disk: Disk = new Map();
    const files = new FakeFiles();
    expect(await selfTest(fakeDatabase(disk), files.packs)).toEqual({ ok: true, wrap: 'AES-KW' });
    expect(disk.get('device')?.size).toBe(0);
    expect(files.files.size).toBe(0);
  });

  it('finds the other way to wrap where AES-KW fails', async () => {
    const unwrapKey = crypto.subtle.unwrapKey.bind(crypto.subtle);
    const broken: typeof unwrapKey = async (format, key, unwrapping, how, ...rest) => {
      if (how === 'AES-KW') throw new DOMException('broken', 'OperationError');
      return unwrapKey(format, key, unwrapping, how, ...(rest as [AlgorithmIdentifier, boolean, KeyUsage[]]));
    };
    Object.defineProperty(crypto.subtle, 'unwrapKey', { value: broken, configurable: true });
    try {
      expect(await selfTest(fakeDatabase(), new FakeFiles().packs)).toEqual({ ok: true, wrap: 'AES-GCM' });
    } finally {
      Reflect.deleteProperty(crypto.subtle, 'unwrapKey');
    }
  });

  it('names what fails', async () => {
    const noKeys = fakeDatabase();
    noKeys.put = () => Promise.reject(new DOMException('private window', 'DataCloneError'));
    expect(await selfTest(noKeys, new FakeFiles().packs)).toEqual({ ok: false, failed: 'store-key' });

    const forgetful = fakeDatabase();
    forgetful.get = async () => null;
    expect(await selfTest(forgetful, new FakeFiles().packs)).toEqual({ ok: false, failed: 'read-key' });

    const full = new FakeFiles();
    full.roomBytes = 1000;
    expect(await selfTest(fakeDatabase(), full.packs)).toEqual({ ok: false, failed: 'store-film' });

    const corrupt = new FakeFiles();
    corrupt.corrupts = true;
    expect(await selfTest(fakeDatabase(), corrupt.packs)).toEqual({ ok: false, failed: 'store-film' });
  });
});
