import { beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError, NetworkError } from '../../src/api/errors';
import type { PlaySessionAnswer } from '../../src/api/types';
import { fromBase64Url } from '../../src/lsv/bytes';
import { Downloader } from '../../src/lsv/offline/downloader';
import { Downloads, type DownloadsDeps } from '../../src/lsv/offline/downloads';
import type { IssuedLicence } from '../../src/lsv/offline/licences';
import type { DownloaderPort, ToDownloader } from '../../src/lsv/offline/protocol';
import { makeSample, type Sample } from '../../src/lsv/offline/samplePack';
import { selfTest } from '../../src/lsv/offline/selfTest';
import { percentOf } from '../../src/lsv/offline/statusText';
import { StoredParts } from '../../src/lsv/offline/storedParts';
import { PlaySession } from '../../src/playsession/playSession';
import { type Disk, FakeFiles, fakeDatabase, storedFilm } from './offlineSupport';

const WAIT = { timeout: 30_000 };
const ACTIVE = { status: 'active' as const, heartbeat_sec: 3600, ticket: 't' };

beforeEach(() => {
  vi.stubGlobal('addEventListener', vi.fn());
});

/** A browser with a server: the worker runs in the page, and the server issues licences for a sample. */
class World {
  readonly disk: Disk = new Map();
  readonly files = new FakeFiles();
  readonly database = fakeDatabase(this.disk);
  sample: Sample | null = null;
  licences: IssuedLicence[] = [];
  /** What the server says instead of giving bytes, and instead of a play session. */
  isCut = false;
  isFull = false;
  ended = 0;
  renewals: 'issued' | 'over' | 'away' = 'issued';
  requests: { device_id: string; wrap_algorithm: string }[] = [];

  readonly deps: DownloadsDeps = {
    database: this.database,
    createWorker: () => this.worker(),
    createSession: () => this.session(),
    requestLicence: async (request) => {
      this.requests.push(request);
      return this.issue(request.public_key);
    },
    renewLicence: async (_, { public_key }) => {
      if (this.renewals === 'away') throw new NetworkError();
      if (this.renewals === 'over') throw new ApiError(403, 'LICENSE_EXPIRED', 'over');
      return this.issue(public_key);
    },
    endLicence: async (id) => {
      this.licences = this.licences.filter((licence) => licence.id !== id);
    },
    listLicences: async () => ({ items: this.licences, total: this.licences.length }),
    listSubtitles: async () => [],
    fetch: async () => new Response('', { status: 404 }),
    deviceName: () => 'Chromium on Linux',
    persist: async () => true,
  };

  /** The viewer opens the site, again or for the first time. */
  async open(userId = 'hana'): Promise<Downloads> {
    const downloads = new Downloads(userId, this.deps);
    await downloads.load();
    return downloads;
  }

  get video() {
    const licence = this.licences.at(-1) ?? ({ video_id: 'v', issued_at: '2026-11-30' } as IssuedLicence);
    return storedFilm(licence).video;
  }

  async issue(publicKey: string) {
    const point = fromBase64Url(publicKey);
    const keys = { publicKey: point, privateKey: undefined as unknown as CryptoKey };
    this.sample = await makeSample(keys, 'AES-KW');
    const { licence } = this.sample;
    // A device has one licence for a video.
    this.licences = [licence];
    return { licence, headers: new Headers({ Date: new Date().toUTCString() }) };
  }

  private worker(): DownloaderPort {
    const post: (data: unknown) => void = (data) =>
      queueMicrotask(() => port.onmessage?.({ data } as MessageEvent));
    let downloader: Downloader | null = null;
    const take = async (message: ToDownloader) => {
      if (message.type === 'self-test') {
        post({ type: 'tested', result: await selfTest(this.database, this.files.packs) });
      } else if (message.type === 'remove') {
        await this.files.packs.remove(message.name);
        post({ type: 'removed', name: message.name, ok: true });
      } else if (message.type === 'download') {
        downloader = new Downloader(message, {
          post,
          send: ((_: unknown, init: RequestInit) => this.bytes(init)) as unknown as typeof fetch,
          files: this.files.packs,
          estimate: async () => ({}),
          random: () => 0,
        });
        await downloader.run();
      } else if (message.type === 'url') downloader?.renewed(message.url);
      else if (message.type === 'hurry') downloader?.hurry();
      else downloader?.stop();
    };
    const port: DownloaderPort = {
      onmessage: null,
      onerror: null,
      postMessage: (message) => void take(message),
      terminate: () => undefined,
    };
    return port;
  }

  private async bytes(init: RequestInit): Promise<Response> {
    init.signal?.throwIfAborted();
    const [, first, last] = /(\d+)-(\d+)/.exec(new Headers(init.headers).get('Range') ?? '') ?? [];
    if (this.isCut) return new Response('', { status: 503 });
    const pack = this.sample?.pack ?? new Uint8Array(0);
    const body = pack.slice(Number(first), Number(last) + 1);
    return new Response(body, {
      status: 206,
      headers: { 'Content-Range': `bytes ${first}-${last}/${pack.length}` },
    });
  }

  private session(): PlaySession {
    const answer = async (): Promise<PlaySessionAnswer> => {
      if (this.isFull) throw new ApiError(429, 'STREAM_RATE_LIMITED', 'full', { scope: 'user', limit: 2 });
      return { session_id: 's', stream_url: '/lsv', ...ACTIVE } as PlaySessionAnswer;
    };
    return new PlaySession({
      start: answer,
      heartbeat: answer,
      end: () => {
        this.ended += 1;
      },
      later: () => () => undefined,
      random: () => 0,
      isVisible: () => true,
    });
  }
}

const stateOf = (downloads: Downloads) => downloads.films.value?.[0]?.state;
const until = (condition: () => unknown) =>
  vi.waitFor(() => {
    if (!condition()) throw new Error('not yet');
  }, WAIT);

/** Downloads the film, and returns its id. */
async function downloaded(world: World, downloads: Downloads): Promise<string> {
  await downloads.start(world.video);
  const id = world.licences[0]?.video_id ?? '';
  await until(() => stateOf(downloads) === 'complete');
  return id;
}

/** The sample's video has another id each time: rows are found by the one that was asked for. */
const ASKED = 'v';

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
    world.files.crash();
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
