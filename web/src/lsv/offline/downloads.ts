import { type Signal, signal } from '@preact/signals';
import { ApiError, isMissing } from '../../api/errors';
import type { Issued, LicenceRequest } from '../../api/offline';
import type { SubtitleTrack, VideoDetail } from '../../api/types';
import type { PlaySession } from '../../playsession/playSession';
import { toBase64Url } from '../bytes';
import { ClockGuard, momentOf, secondsOf } from './clock';
import type { Database } from './database';
import { Download, type DownloadEvent } from './download';
import type { Progress } from './downloadPlan';
import { storeExtras } from './extras';
import { type Change, FilmList } from './filmList';
import {
  type Device,
  filmKey,
  type IssuedLicence,
  LicenceStore,
  type OfflineLicence,
  opensSamePack,
  type StoredFilm,
  termOf,
} from './licences';
import type { DownloaderPort } from './protocol';
import type { WrapAlgorithm } from './samplePack';
import type { SelfTestResult } from './selfTest';
import type { Tabs } from './tabs';
import { OtherViewerError, SelfTestError, type Trouble, troubleOf } from './trouble';
import { workerTask } from './workerTask';

/** A page that was left this moment may still have a film. */
const HOLD_MS = 2_000;
/** How long another tab has to stop writing a film that is to be deleted. */
const LET_GO_MS = 5_000;

/** What is going on with a film right now; what is not, says its row. */
export type Activity =
  | { phase: 'checking' | 'preparing' | 'queued' }
  | { phase: 'loading'; progress: Progress; isWaiting: boolean }
  | { phase: 'failed'; why: Trouble };

export interface DownloadsDeps {
  database: Database;
  createWorker: () => DownloaderPort;
  createSession: (videoId: string, publicKey: string) => PlaySession;
  requestLicence: (request: LicenceRequest) => Promise<Issued>;
  renewLicence: (
    id: string,
    request: Pick<LicenceRequest, 'public_key' | 'wrap_algorithm'>,
  ) => Promise<Issued>;
  endLicence: (id: string) => Promise<void>;
  listLicences: () => Promise<{ items: OfflineLicence[]; total: number }>;
  listSubtitles: (videoId: string) => Promise<SubtitleTrack[]>;
  fetch: typeof fetch;
  deviceName: () => string;
  persist: () => Promise<unknown>;
  /** Has the site's own files kept, too. */
  keepApp: () => void;
  /** Whether the server takes this browser's requests for those of this viewer. */
  isViewer: (userId: string) => Promise<boolean>;
  tabs: Tabs;
}

/** The downloads of one viewer in this browser. They belong to the site: going to another page does not stop them. */
export class Downloads {
  readonly activities: Signal<ReadonlyMap<string, Activity>> = signal(new Map());
  private readonly running = new Map<string, Download>();
  /** Films whose licence was renewed once because it did not fit what the server has now. */
  private readonly reissued = new Set<string>();
  private readonly licences: LicenceStore;
  private readonly list: FilmList;
  private readonly guard: ClockGuard;
  private tested: Promise<SelfTestResult | { ok: false; failed: 'worker' }> | null = null;

  constructor(
    private readonly userId: string,
    private readonly deps: DownloadsDeps,
  ) {
    this.licences = new LicenceStore(deps.database);
    this.guard = new ClockGuard(deps.database);
    this.list = new FilmList(userId, this.licences, deps.tabs, () => this.review());
  }

  /** The films that are in this browser, whole or not; null before they are read. */
  get films(): Signal<StoredFilm[] | null> {
    return this.list.shown;
  }

  /** Reads what is there. */
  load(): Promise<void> {
    return this.list.load();
  }

  /** Another viewer is here: stops everything, and shows nothing any more. What is unfinished goes on at the next login. */
  close(): void {
    this.list.close();
    for (const download of this.running.values()) download.stop();
    this.activities.value = new Map();
  }

  /** Goes on with what was interrupted, and learns which licences the server has ended. Call with a network. */
  async goOn(): Promise<void> {
    await this.load();
    // What is begun while the server is asked is not in its answer.
    const before = this.films.peek() ?? [];
    if (before.length === 0 || !(await this.deps.isViewer(this.userId))) return;
    const { items, total } = await this.deps.listLicences();
    const inForce = new Set(items.map(({ id }) => id));
    for (const { video, licence } of before) {
      const film = this.list.find(video.id);
      const isOver = items.length === total && !inForce.has(licence.id);
      if (film && isOver) await this.list.change(video.id, endedWith(licence));
      else if (film?.state === 'unfinished') await this.resume(video.id);
    }
  }

  /** Downloads a film, from the beginning if it was never begun. */
  async start(video: VideoDetail): Promise<void> {
    if (this.isMoving(video.id)) return;
    this.act(video.id, { phase: 'checking' });
    await this.load().catch(() => undefined);
    if (this.list.find(video.id)) {
      // Another tab has begun it.
      this.act(video.id, null);
      return this.resume(video.id);
    }
    await this.attempt(video.id, async () => {
      const { device, wrap } = await this.checked(video.id);
      const issued = await this.issue(video.id, device, wrap);
      const subtitles = await this.deps.listSubtitles(video.id).catch(() => []);
      await this.deps.persist().catch(() => undefined);
      const progress = { bytes: 0, totalBytes: 0 };
      const { licence } = issued;
      const film: StoredFilm = {
        userId: this.userId,
        video,
        subtitles,
        licence,
        state: 'unfinished',
        progress,
      };
      await this.list.add(film);
      await storeExtras(this.deps.database, film, this.deps.fetch).catch(() => undefined);
      if (!(await this.run(video.id, device))) await this.licences.delete(this.userId, video.id);
    });
  }

  async resume(videoId: string): Promise<void> {
    const film = this.list.find(videoId);
    if (!film || this.isMoving(videoId)) return;
    this.act(videoId, { phase: 'checking' });
    await this.attempt(videoId, async () => {
      const now = await this.list.change(videoId, ({ state }) =>
        state === 'complete' ? {} : { state: 'unfinished' },
      );
      // Another tab may have finished it.
      if (now?.state !== 'unfinished') return this.act(videoId, null);
      const { device } = await this.checked(videoId);
      const isOver = now.isEnded || (await this.guard.judge(termOf(now.licence))) !== 'valid';
      if (isOver) await this.renewed(now);
      await this.run(videoId, device);
    });
  }

  async pause(videoId: string): Promise<void> {
    await this.list.change(videoId, ({ state }) => (state === 'complete' ? {} : { state: 'paused' }));
    this.running.get(videoId)?.stop();
  }

  /** Prolongs the licence of a film. Returns until when it can be watched; null if it has to be downloaded again. */
  async renew(videoId: string): Promise<string | null> {
    const film = this.list.find(videoId);
    if (!film) return null;
    await this.ensureViewer();
    const renewed = await this.renewed(film);
    return renewed?.state === 'complete' ? renewed.licence.expires_at : null;
  }

  /** Removes a film from this browser, and ends its licence, as far as the server can be reached. */
  async remove(videoId: string): Promise<void> {
    const film = this.list.find(videoId);
    const name = filmKey(this.userId, videoId);
    // Also stops the tab that works on it.
    await this.list.change(videoId, () => ({ state: 'paused' }));
    const download = this.running.get(videoId);
    download?.stop();
    await download?.done;
    const free = await this.deps.tabs.hold(name, LET_GO_MS);
    if (film) await this.deps.endLicence(film.licence.id).catch(() => undefined);
    // The row last: without it nothing would know of the pack.
    try {
      await workerTask(this.deps.createWorker, { type: 'remove', name }, 'removed');
      await this.list.delete(videoId);
    } finally {
      free?.();
    }
    this.act(videoId, null);
  }

  /** Another tab has changed something. */
  private review(): void {
    const isWanted = (videoId: string) => this.list.find(videoId)?.state === 'unfinished';
    for (const [videoId, download] of this.running) if (!isWanted(videoId)) download.stop();
    for (const [videoId, activity] of this.activities.peek()) {
      const isElsewhere = activity.phase === 'failed' && activity.why.kind === 'elsewhere';
      if (isElsewhere && !isWanted(videoId)) this.act(videoId, null);
    }
  }

  private isMoving(videoId: string): boolean {
    const activity = this.activities.peek().get(videoId);
    return this.running.has(videoId) || (activity !== undefined && activity.phase !== 'failed');
  }

  private async ensureViewer(): Promise<void> {
    if (this.list.isClosed || !(await this.deps.isViewer(this.userId))) throw new OtherViewerError();
  }

  private act(videoId: string, activity: Activity | null): void {
    if (this.list.isClosed) return;
    const next = new Map(this.activities.peek());
    if (activity) next.set(videoId, activity);
    else next.delete(videoId);
    this.activities.value = next;
  }

  private async attempt(videoId: string, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      this.act(videoId, { phase: 'failed', why: troubleOf(error) });
    }
  }

  /** Tries out this browser, once a page, and returns its key. */
  private async checked(videoId: string): Promise<{ device: Device; wrap: WrapAlgorithm }> {
    this.act(videoId, { phase: 'checking' });
    await this.ensureViewer();
    const wrap = await this.wrapAlgorithm();
    this.act(videoId, { phase: 'preparing' });
    return { device: await this.licences.device(), wrap };
  }

  private async wrapAlgorithm(): Promise<WrapAlgorithm> {
    this.tested ??= workerTask(this.deps.createWorker, { type: 'self-test' }, 'tested').then(
      ({ result }) => result,
      () => ({ ok: false, failed: 'worker' }),
    );
    const result = await this.tested;
    if (result.ok) return result.wrap;
    // What is missing may be there at the next attempt, such as room.
    this.tested = null;
    throw new SelfTestError(result.failed);
  }

  private async issue(videoId: string, device: Device, wrap: WrapAlgorithm): Promise<Issued> {
    const issued = await this.deps.requestLicence({
      video_id: videoId,
      device_id: device.id,
      device_name: this.deps.deviceName(),
      public_key: toBase64Url(device.keys.publicKey),
      wrap_algorithm: wrap,
    });
    await this.seen(issued);
    return issued;
  }

  private async seen({ headers, licence }: Issued): Promise<void> {
    await this.guard.set(momentOf(headers) ?? secondsOf(licence.issued_at));
  }

  /** Gives a film a later licence, or another one where the one before has ended; null if it is gone by now. */
  private async renewed(film: StoredFilm): Promise<StoredFilm | null> {
    const device = await this.licences.device();
    const wrap = await this.wrapAlgorithm();
    let issued: Issued;
    try {
      const public_key = toBase64Url(device.keys.publicKey);
      issued = await this.deps.renewLicence(film.licence.id, { public_key, wrap_algorithm: wrap });
      await this.seen(issued);
    } catch (error) {
      if (!isMissing(error) && !(error instanceof ApiError && error.code === 'LICENSE_EXPIRED')) throw error;
      issued = await this.issue(film.video.id, device, wrap);
    }
    return this.list.change(film.video.id, withLicence(film.licence, issued.licence));
  }

  /** Has a worker fetch a film, unless it was paused, or another tab does so. Returns false if it was deleted. */
  private async run(videoId: string, device: Device): Promise<boolean> {
    const free = await this.deps.tabs.hold(filmKey(this.userId, videoId), HOLD_MS);
    // The viewer, here or in another tab, may have paused or deleted it by now.
    const film = await this.list.stored(videoId);
    if (this.list.isClosed || film?.state !== 'unfinished') {
      free?.();
      this.act(videoId, null);
      return film !== null;
    }
    if (!free) {
      this.act(videoId, { phase: 'failed', why: { kind: 'elsewhere' } });
      return true;
    }
    try {
      const worker = this.deps.createWorker();
      const session = this.deps.createSession(videoId, toBase64Url(device.keys.publicKey));
      const download = new Download(film, device, worker, session, (event) => {
        void this.follow(videoId, event);
      });
      this.running.set(videoId, download);
      void download.done.then(free);
    } catch {
      free();
      this.act(videoId, { phase: 'failed', why: { kind: 'worker' } });
    }
    this.deps.keepApp();
    return true;
  }

  private async follow(videoId: string, event: DownloadEvent): Promise<void> {
    const film = this.list.find(videoId);
    if (event.type === 'progress') {
      if (!film) return;
      const { isWaiting } = event;
      const progress = event.progress ?? film.progress;
      this.act(videoId, { phase: 'loading', progress, isWaiting });
      if (event.progress) await this.list.change(videoId, () => ({ progress }), false);
      return;
    }
    if (event.type === 'queued') {
      this.act(videoId, { phase: 'queued' });
      return;
    }
    this.running.delete(videoId);
    if (film && isPackedAnew(event) && !this.reissued.has(videoId)) {
      this.reissued.add(videoId);
      await this.attempt(videoId, async () => {
        await this.renewed(film);
        await this.run(videoId, await this.licences.device());
      });
      return;
    }
    this.act(videoId, this.outcome(event));
    if (event.type === 'complete') {
      const { progress } = event;
      await this.list.change(videoId, () => ({ state: 'complete', progress }));
    }
  }

  private outcome(event: DownloadEvent): Activity | null {
    switch (event.type) {
      case 'refused':
        return { phase: 'failed', why: { kind: 'refused' } };
      case 'error':
        return { phase: 'failed', why: { kind: 'error', error: event.error } };
      case 'failed':
        return { phase: 'failed', why: event.failure };
      default:
        return null;
    }
  }
}

function isPackedAnew(event: DownloadEvent): boolean {
  if (event.type !== 'failed' || event.failure.kind !== 'key') return false;
  return event.failure.fault === 'wrong-key' || event.failure.fault === 'wrong-content';
}

/** Ends a licence that the server does not have any more, unless another tab has got a new one. */
function endedWith(licence: OfflineLicence): Change {
  return (film) => (film.licence.id === licence.id ? { isEnded: true } : {});
}

/** Gives a film a new licence in place of one; a later one that another tab has got since stays. */
function withLicence(before: IssuedLicence, issued: IssuedLicence): Change {
  return ({ licence, state }) => {
    const isChanged = licence.id !== before.id || licence.expires_at !== before.expires_at;
    if (isChanged && termOf(licence).expiresAt > termOf(issued).expiresAt) return {};
    const isWrong = state === 'complete' && !opensSamePack(licence, issued);
    return { licence: issued, isEnded: false, state: isWrong ? 'paused' : state };
  };
}
