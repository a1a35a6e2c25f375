import { beforeEach, describe, expect, it, vi } from 'vitest';
import { NetworkError } from '../../src/api/errors';
import { percentOf } from '../../src/lsv/offline/statusText';
import { StoredParts } from '../../src/lsv/offline/storedParts';
import { ASKED, downloaded, stateOf, until, World } from './downloadsSupport';

beforeEach(() => {
  vi.stubGlobal('addEventListener', vi.fn());
});

describe('downloads', () => {
  it('try out the browser, get a licence, fetch the film, and give the place on the server back', async () => {
    const world = new World();
    const downloads = await world.open();
    await downloaded(world, downloads);
    expect(world.requests).toHaveLength(1);
    expect(world.requests[0]?.wrap_algorithm).toBe('AES-KW');
    await until(() => world.ended === 1);
    expect(downloads.activities.value.size).toBe(0);
    const [film] = (await world.open()).films.value ?? [];
    expect(percentOf(film?.progress ?? { bytes: 0, totalBytes: 1 })).toBe(100);
    expect(film?.licence.scope).toBe('OFFLINE_PLAYBACK');
    expect((await world.open('minjun')).films.value).toEqual([]);
  });

  it('say why a browser can’t, before they ask for a licence', async () => {
    const world = new World();
    world.files.roomBytes = 100;
    const downloads = await world.open();
    await downloads.start(world.video);
    expect(downloads.activities.value.get(ASKED)).toEqual({
      phase: 'failed',
      why: { kind: 'self-test', step: 'store-film' },
    });
    expect(world.requests).toHaveLength(0);
    expect(downloads.films.value).toEqual([]);
  });

  it('pause, and resume where they were', async () => {
    const world = new World();
    const downloads = await world.open();
    world.isCut = true;
    await downloads.start(world.video);
    await until(() => downloads.activities.value.get(ASKED));
    await downloads.pause(ASKED);
    await until(() => downloads.activities.value.size === 0);
    expect(stateOf(downloads)).toBe('paused');
    world.isCut = false;
    await (await world.open()).goOn();
    expect(world.requests).toHaveLength(1);
    expect(stateOf(await world.open())).toBe('paused');
    const again = await world.open();
    await again.resume(ASKED);
    await until(() => stateOf(again) === 'complete');
    expect(world.requests).toHaveLength(1);
  });

  it('go on by themselves after a crash', async () => {
    const world = new World();
    world.isCut = true;
    await (await world.open()).start(world.video);
    world.crash();
    world.isCut = false;
    const after = await world.open();
    expect(stateOf(after)).toBe('unfinished');
    await after.goOn();
    await until(() => stateOf(after) === 'complete');
  });

  it('say when there is no place on the server, and keep what they have', async () => {
    const world = new World();
    world.isFull = true;
    const downloads = await world.open();
    await downloads.start(world.video);
    await until(() => downloads.activities.value.get(ASKED)?.phase === 'failed');
    expect(downloads.activities.value.get(ASKED)).toEqual({ phase: 'failed', why: { kind: 'refused' } });
    expect(stateOf(downloads)).toBe('unfinished');
  });

  it('are renewed; where the film was packed anew, it has to be downloaded again', async () => {
    const world = new World();
    const downloads = await world.open();
    await downloaded(world, downloads);
    world.renewals = 'away';
    await expect(downloads.renew(ASKED)).rejects.toThrow(NetworkError);
    expect(stateOf(downloads)).toBe('complete');
    world.renewals = 'over';
    // The sample has another key each time.
    expect(await downloads.renew(ASKED)).toBeNull();
    expect(world.requests).toHaveLength(2);
    expect(stateOf(downloads)).toBe('paused');
    await downloads.resume(ASKED);
    await until(() => stateOf(downloads) === 'complete');
  });

  it('are of no use once the server has ended their licence', async () => {
    const world = new World();
    const downloads = await world.open();
    await downloaded(world, downloads);
    world.licences = [];
    await downloads.goOn();
    expect(downloads.films.value?.[0]?.isEnded).toBe(true);
    expect(await StoredParts.find(world.database, 'hana', ASKED)).toBeNull();
  });

  it('leave nothing behind when they are deleted, even while they are fetched', async () => {
    const world = new World();
    const downloads = await world.open();
    world.isCut = true;
    await downloads.start(world.video);
    await until(() => downloads.activities.value.get(ASKED)?.phase !== 'preparing');
    await downloads.remove(ASKED);
    expect(downloads.films.value).toEqual([]);
    expect(world.licences).toEqual([]);
    expect(world.files.files.size).toBe(0);
    expect(downloads.activities.value.size).toBe(0);
  });
});

describe('downloads that are not wanted any more', () => {
  it.each(['paused', 'deleted'] as const)(
    'are not begun when they are %s while they get ready',
    async (how) => {
      const world = new World();
      const waiting: ((response: Response) => void)[] = [];
      const track = { track: 'ko', language: 'ko', title: '', forced: false, sdh: false, url: '/ko.vtt' };
      world.deps.listSubtitles = async () => [track];
      world.deps.fetch = () =>
        new Promise((resolve) => {
          waiting.push(resolve);
        });
      const downloads = await world.open();
      const started = downloads.start(world.video);
      await until(() => stateOf(downloads) === 'unfinished');
      await (how === 'paused' ? downloads.pause(ASKED) : downloads.remove(ASKED));
      await until(() => waiting.length === 1);
      waiting[0]?.(new Response('WEBVTT'));
      await started;
      expect(stateOf(downloads)).toBe(how === 'paused' ? 'paused' : undefined);
      expect(downloads.activities.value.size).toBe(0);
      expect(world.disk.get('extras')?.size).toBe(how === 'paused' ? 1 : 0);
      expect(world.files.files.size).toBe(0);
    },
  );
});

describe('film that is here as a whole', () => {
  it('gives its licence as long as that is valid', async () => {
    const world = new World();
    await downloaded(world, await world.open());
    const parts = await StoredParts.find(world.database, 'hana', ASKED);
    const given = await parts?.license();
    expect(given?.license).toMatchObject({
      stored: `hana.${ASKED}`,
      binding: { scope: 'OFFLINE_PLAYBACK', deviceId: world.licences[0]?.device_id },
    });
    expect(await parts?.over()).toBeNull();
    vi.useFakeTimers({ now: Date.now() + 2 * 3_600_000, toFake: ['Date'] });
    try {
      await expect(parts?.license()).rejects.toThrow('expired');
      vi.setSystemTime(Date.now() - 2 * 3_600_000);
      // The clock was turned back.
      await expect(parts?.license()).rejects.toThrow('clock');
      expect(await parts?.over()).toEqual({ cause: 'clock' });
    } finally {
      vi.useRealTimers();
    }
  });

  it('is fetched again where it is damaged', async () => {
    const world = new World();
    await downloaded(world, await world.open());
    await (await StoredParts.find(world.database, 'hana', ASKED))?.noteDamage();
    expect(stateOf(await world.open())).toBe('unfinished');
    expect(await StoredParts.find(world.database, 'hana', ASKED)).toBeNull();
  });
});
