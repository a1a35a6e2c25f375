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
import {
  type Device,
  endsSooner,
  filmKey,
  LicenceStore,
  type OfflineLicence,
  opensSamePack,
  type StoredFilm,
  termOf,
} from './licences';
import type { DownloaderPort, DownloadFailure } from './protocol';
import type { WrapAlgorithm } from './samplePack';
import type { SelfTestResult, SelfTestStep } from './selfTest';

/** What is going on with a film right now; what is not, says its row. */
export type Activity =
  | { phase: 'checking' | 'preparing' | 'queued' }
  | { phase: 'loading'; progress: Progress; isWaiting: boolean }
  | { phase: 'failed'; why: Trouble };

export type Trouble =
  | { kind: 'self-test'; step: SelfTestStep | 'worker' }
  | { kind: 'refused' }
  | { kind: 'error'; error: unknown }
  | DownloadFailure;

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
}

/** The downloads of one viewer in this browser. They belong to the site: going to another page does not stop them. */
export class Downloads {
  /** The films that are in this browser, whole or not; null before they are read. */
  readonly films: Signal<StoredFilm[] | null> = signal(null);
  readonly activities: Signal<ReadonlyMap<string, Activity>> = signal(new Map());
  private readonly running = new Map<string, Download>();
  /** Films whose licence was renewed once because it did not fit what the server has now. */
  private readonly reissued = new Set<string>();
  private readonly licences: LicenceStore;
  private readonly guard: ClockGuard;
  private tested: Promise<SelfTestResult | { ok: false; failed: 'worker' }> | null = null;

  constructor(
    private readonly userId: string,
    private readonly deps: DownloadsDeps,
  ) {
    this.licences = new LicenceStore(deps.database);
    this.guard = new ClockGuard(deps.database);
  }

  /** Reads what is there. */
  async load(): Promise<void> {
    this.films.value = await this.licences.ofUser(this.userId);
  }

  /** Goes on with what was interrupted, and learns which licences the server has ended. Call with a network. */
  async goOn(): Promise<void> {
    await this.load();
    // What is begun while the server is asked is not in its answer.
    const before = this.films.peek() ?? [];
    if (before.length === 0) return;
    const { items, total } = await this.deps.listLicences();
    const inForce = new Set(items.map(({ id }) => id));
    for (const { video, licence } of before) {
      const film = this.find(video.id);
      const isOver = items.length === total && !inForce.has(licence.id);
      if (film && isOver) await this.put({ ...film, isEnded: true });
      else if (film?.state === 'unfinished') await this.resume(video.id);
    }
  }

  /** Downloads a film, from the beginning if it was never begun. */
  async start(video: VideoDetail): Promise<void> {
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
      await this.put(film);
      await storeExtras(this.deps.database, film, this.deps.fetch).catch(() => undefined);
      // The viewer may have paused or deleted it by now.
      const now = this.find(video.id);
      if (!now) await this.licences.delete(this.userId, video.id);
      if (now?.state === 'unfinished') this.run(film, device);
      else this.act(video.id, null);
    });
  }

  async resume(videoId: string): Promise<void> {
    const film = this.find(videoId);
    if (!film || this.isMoving(videoId)) return;
    await this.put({ ...film, state: 'unfinished' });
    await this.attempt(videoId, async () => {
      const { device } = await this.checked(videoId);
      const isOver = film.isEnded || (await this.guard.judge(termOf(film.licence))) !== 'valid';
      const current = isOver ? await this.renewed(film) : film;
      // The viewer may have paused or deleted it by now.
      if (this.find(videoId)?.state !== 'unfinished') {
        this.act(videoId, null);
        return;
      }
      await this.put({ ...current, state: 'unfinished' });
      this.run(current, device);
    });
  }

  async pause(videoId: string): Promise<void> {
    const film = this.find(videoId);
    if (film) await this.put({ ...film, state: 'paused' });
    this.running.get(videoId)?.stop();
  }

  /** Prolongs the licence of a film. Returns until when it can be watched; null if it has to be downloaded again. */
  async renew(videoId: string): Promise<string | null> {
    const film = this.find(videoId);
    if (!film) return null;
    const renewed = await this.renewed(film);
    if (!this.find(videoId)) return null;
    await this.put(renewed);
    return renewed.state === 'complete' ? renewed.licence.expires_at : null;
  }

  /** Removes a film from this browser, and ends its licence, as far as the server can be reached. */
  async remove(videoId: string): Promise<void> {
    const film = this.find(videoId);
    const download = this.running.get(videoId);
    download?.stop();
    await download?.done;
    if (film) await this.deps.endLicence(film.licence.id).catch(() => undefined);
    // The row last: without it nothing would know of the pack.
    await this.ask({ type: 'remove', name: filmKey(this.userId, videoId) }, 'removed');
    await this.licences.delete(this.userId, videoId);
    this.act(videoId, null);
    await this.load();
  }

  private isMoving(videoId: string): boolean {
    const activity = this.activities.peek().get(videoId);
    return this.running.has(videoId) || (activity !== undefined && activity.phase !== 'failed');
  }

  private find(videoId: string): StoredFilm | undefined {
    return this.films.peek()?.find(({ video }) => video.id === videoId);
  }

  /** Shows a change at once, so that the next one is made to it. */
  private async put(film: StoredFilm): Promise<void> {
    const others = (this.films.peek() ?? []).filter(({ video }) => video.id !== film.video.id);
    this.films.value = [...others, film].sort(endsSooner);
    await this.licences.put(film);
  }

  private act(videoId: string, activity: Activity | null): void {
    const next = new Map(this.activities.peek());
    if (activity) next.set(videoId, activity);
    else next.delete(videoId);
    this.activities.value = next;
  }

  private async attempt(videoId: string, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      const why: Trouble =
        error instanceof SelfTestError ? { kind: 'self-test', step: error.step } : { kind: 'error', error };
      this.act(videoId, { phase: 'failed', why });
    }
  }

  /** Tries out this browser, once a page, and returns its key. */
  private async checked(videoId: string): Promise<{ device: Device; wrap: WrapAlgorithm }> {
    this.act(videoId, { phase: 'checking' });
    const wrap = await this.wrapAlgorithm();
    this.act(videoId, { phase: 'preparing' });
    return { device: await this.licences.device(), wrap };
  }

  private async wrapAlgorithm(): Promise<WrapAlgorithm> {
    this.tested ??= this.ask({ type: 'self-test' }, 'tested').then(
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

  /** Returns a film with a later licence, or with another one where the one before has ended. */
  private async renewed(film: StoredFilm): Promise<StoredFilm> {
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
    const isSame = opensSamePack(film.licence, issued.licence);
    const state = isSame ? film.state : 'paused';
    return { ...film, licence: issued.licence, state, isEnded: false };
  }

  private run(film: StoredFilm, device: Device): void {
    const { id } = film.video;
    const session = this.deps.createSession(id, toBase64Url(device.keys.publicKey));
    const download = new Download(film, device, this.deps.createWorker(), session, (event) => {
      void this.follow(id, event);
    });
    this.running.set(id, download);
  }

  private async follow(videoId: string, event: DownloadEvent): Promise<void> {
    const film = this.find(videoId);
    if (event.type === 'progress') {
      if (!film) return;
      const { isWaiting } = event;
      const progress = event.progress ?? film.progress;
      this.act(videoId, { phase: 'loading', progress, isWaiting });
      if (event.progress) await this.put({ ...film, progress });
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
        const current: StoredFilm = { ...(await this.renewed(film)), state: 'unfinished' };
        if (this.find(videoId)?.state !== 'unfinished') return;
        await this.put(current);
        this.run(current, await this.licences.device());
      });
      return;
    }
    this.act(videoId, this.outcome(event));
    if (event.type === 'complete' && film) {
      await this.put({ ...film, state: 'complete', progress: event.progress });
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

  /** Has a worker of its own do one thing. */
  private ask<Type extends 'tested' | 'removed'>(
    message: Parameters<DownloaderPort['postMessage']>[0],
    type: Type,
  ): Promise<Extract<Parameters<NonNullable<DownloaderPort['onmessage']>>[0]['data'], { type: Type }>> {
    return new Promise<never>((resolve, reject) => {
      const worker = this.deps.createWorker();
      worker.onmessage = ({ data }) => {
        if (data.type !== type) return;
        worker.terminate();
        resolve(data as never);
      };
      worker.onerror = () => reject(new Error('the worker does not run'));
      worker.postMessage(message);
    });
  }
}

function isPackedAnew(event: DownloadEvent): boolean {
  if (event.type !== 'failed' || event.failure.kind !== 'key') return false;
  return event.failure.fault === 'wrong-key' || event.failure.fault === 'wrong-content';
}

class SelfTestError extends Error {
  constructor(readonly step: SelfTestStep | 'worker') {
    super(step);
  }
}
