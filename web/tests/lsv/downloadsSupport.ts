import { vi } from 'vitest';
import { ApiError, NetworkError } from '../../src/api/errors';
import type { PlaySessionAnswer } from '../../src/api/types';
import { fromBase64Url } from '../../src/lsv/bytes';
import { Downloader } from '../../src/lsv/offline/downloader';
import { Downloads, type DownloadsDeps } from '../../src/lsv/offline/downloads';
import type { IssuedLicence } from '../../src/lsv/offline/licences';
import type { DownloaderPort, ToDownloader } from '../../src/lsv/offline/protocol';
import { makeSample, type Sample } from '../../src/lsv/offline/samplePack';
import { selfTest } from '../../src/lsv/offline/selfTest';
import type { Tabs } from '../../src/lsv/offline/tabs';
import { PlaySession } from '../../src/playsession/playSession';
import { type Disk, FakeFiles, fakeDatabase, storedFilm } from './offlineSupport';

const WAIT = { timeout: 30_000 };
const ACTIVE = { status: 'active' as const, heartbeat_sec: 3600, ticket: 't' };

/** A browser with a server: the worker runs in the page, and the server issues licences for a sample. */
export class World {
  readonly disk: Disk = new Map();
  readonly files = new FakeFiles();
  readonly database = fakeDatabase(this.disk);
  sample: Sample | null = null;
  licences: IssuedLicence[] = [];
  /** What the server says instead of giving bytes, and instead of a play session. */
  isCut = false;
  isFull = false;
  ended = 0;
  keeps = 0;
  /** Whom the server takes the browser's requests for; anyone's if null. */
  loggedIn: string | null = null;
  /** What happens to workers: they crash when they are to fetch, or don't start at all. */
  workers: 'run' | 'crash' | 'send what can’t be read' = 'run';
  private readonly held = new Set<string>();
  private readonly listeners = new Set<{ tab: object; onChange: (name: string) => void }>();
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
    keepApp: () => {
      this.keeps += 1;
    },
    isViewer: async (userId) => this.loggedIn === null || this.loggedIn === userId,
    tabs: this.tab(),
  };

  /** The viewer opens the site, again or for the first time. */
  async open(userId = 'hana'): Promise<Downloads> {
    const downloads = new Downloads(userId, { ...this.deps, tabs: this.tab() });
    await downloads.load();
    return downloads;
  }

  /** A tab of the browser: it has locks and a channel in common with the others. */
  tab(): Tabs {
    const tab = {};
    return {
      hold: async (name) => {
        if (this.held.has(name)) return null;
        this.held.add(name);
        return () => void this.held.delete(name);
      },
      tell: (name) => {
        for (const each of this.listeners) if (each.tab !== tab) each.onChange(name);
      },
      listen: (onChange) => {
        const listener = { tab, onChange };
        this.listeners.add(listener);
        return () => void this.listeners.delete(listener);
      },
    };
  }

  /** The browser ends, with all of its tabs. */
  crash(): void {
    this.held.clear();
    this.listeners.clear();
    this.files.crash();
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
      } else if (message.type === 'download' && this.workers === 'crash') {
        port.onerror?.({} as ErrorEvent);
      } else if (message.type === 'download' && this.workers !== 'run') {
        port.onmessageerror?.({} as MessageEvent);
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
      onmessageerror: null,
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

export const stateOf = (downloads: Downloads) => downloads.films.value?.[0]?.state;
export const until = (condition: () => unknown) =>
  vi.waitFor(() => {
    if (!condition()) throw new Error('not yet');
  }, WAIT);

/** Downloads the film, and returns its id. */
export async function downloaded(world: World, downloads: Downloads): Promise<string> {
  await downloads.start(world.video);
  const id = world.licences[0]?.video_id ?? '';
  await until(() => stateOf(downloads) === 'complete');
  return id;
}

/** The sample's video has another id each time: rows are found by the one that was asked for. */
export const ASKED = 'v';
