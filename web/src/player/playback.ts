import { refresher } from '../api';
import { getProgress, saveProgress } from '../api/endpoints';
import { ApiError, isPassing, retryAfterOf } from '../api/errors';
import { probeStream } from '../api/playSessions';
import type { Qoe } from '../api/types';
import { backgroundTimers, type Cancel } from '../lib/backgroundTimers';
import { retryDelayMs } from '../lib/retry';
import { uuid7 } from '../lib/uuid7';
import { SessionOverError } from '../playsession/playSession';
import { QoeMeter } from '../playsession/qoe';
import { type FilmSource, plainSource } from './filmSource';
import { ProgressPolicy } from './progressPolicy';
import { StallWatchdog } from './stallWatchdog';

type FailureReason = { kind: 'refused'; error: ApiError } | { kind: 'network' | 'decode' | 'source' };
/** `retries` while playback is retried automatically. */
export type PlaybackFailure = FailureReason & { retries: boolean };

const SAVE_EVERY_MS = 5000;
const SEEK_SETTLES_MS = 400;
const SESSION_CHECK_MS = 60_000;
const SESSION_MAX_AGE_MS = 9 * 60_000;
const AWAY_LONG_MS = 30_000;
/** For this long after the end, the viewer may go back to a scene; then the slot is freed for others. */
const FINISHED_MS = 60_000;
const RECOVERED_SEC = 3;
const ELSEWHERE_SEC = 2;

interface Start {
  at: number;
  play: boolean;
  /** `fresh` begins saving, `same` continues saving after an interruption, `off` never saves. */
  saving: 'fresh' | 'same' | 'off';
}

/** Drives one <video>: source, start position, saving of the position, and recovery from errors. */
export class Playback {
  private policy = new ProgressPolicy(uuid7());
  private pendingStart: Start | null = null;
  private lastPosition = 0;
  private recoveringAt: number | null = null;
  /** Consecutive failures to load the film. */
  private failures = 0;
  private cancelRetry: Cancel | null = null;
  private isStopped = true;
  /** The viewer's intent; the element also pauses by itself, after an error or when the browser freezes the page. */
  private isPlaying = false;
  private sources = 0;
  private meter = newMeter();
  private watchdog = new StallWatchdog(() => void this.askAgain());
  private hiddenSince: number | null = null;
  private finishTimer: ReturnType<typeof setTimeout> | undefined;
  private seekTimer: ReturnType<typeof setTimeout> | undefined;
  private attached = new AbortController();

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly videoId: string,
    /** Returns a URL that works now; throws SessionOverError when the session is over. */
    private readonly renewSource: () => Promise<string>,
    /** Called when the film is over, and the viewer has not gone back into it. */
    private readonly onFinished: () => void,
    private readonly onFailure: (failure: PlaybackFailure | null) => void,
    private readonly source: FilmSource = plainSource(video),
  ) {}

  attach(): () => void {
    const { signal } = this.attached;
    const onVideo = (type: keyof HTMLVideoElementEventMap, listener: () => void) =>
      this.video.addEventListener(type, listener, { signal });
    onVideo('loadedmetadata', () => this.applyStart());
    onVideo('timeupdate', () => this.notePosition());
    onVideo('seeking', () => this.noteTarget());
    onVideo('pause', () => this.notePause());
    onVideo('ended', () => this.noteEnd());
    onVideo('seeked', () => this.saveAfterSeek());
    onVideo('error', () => void this.recover());
    // Resetting the element sets its position to 0, which is not the viewer's position.
    onVideo('emptied', () => this.policy.suspend());
    onVideo('play', () => this.notePlay());
    onVideo('playing', () => this.meter.playing());
    onVideo('waiting', () => {
      if (!this.video.seeking) this.meter.waiting();
    });
    for (const type of ['pause', 'seeking', 'emptied', 'ended', 'error'] as const) {
      onVideo(type, () => this.meter.settled());
    }
    for (const type of this.source.recovers ? [] : (['loadstart', 'seeking', 'waiting'] as const)) {
      onVideo(type, () => this.watchdog.waiting());
    }
    onVideo('progress', () => this.watchdog.progress());
    for (const type of [
      'playing',
      'seeked',
      'canplay',
      'pause',
      'suspend',
      'emptied',
      'ended',
      'error',
    ] as const) {
      onVideo(type, () => this.watchdog.settled());
    }
    document.addEventListener('visibilitychange', () => this.onVisibility(), { signal });
    window.addEventListener('pagehide', () => this.save({ keepalive: true }), { signal });
    window.addEventListener('online', () => this.cancelRetry && void this.reload(this.isPlaying), { signal });
    window.addEventListener(
      'pageshow',
      (event) => {
        if (event.persisted) void this.resync({ newSession: true });
      },
      { signal },
    );
    const saving = setInterval(() => this.saveWhileRunning(), SAVE_EVERY_MS);
    // The <video> fetches by itself and cannot renew an expired session, so it is renewed ahead of time.
    const renewal = setInterval(() => void refresher.ensureFresh(SESSION_MAX_AGE_MS), SESSION_CHECK_MS);

    return () => {
      this.save({ keepalive: true });
      this.attached.abort();
      clearInterval(saving);
      clearInterval(renewal);
      clearTimeout(this.seekTimer);
      clearTimeout(this.finishTimer);
      this.cancelRetry?.();
      this.watchdog.settled();
      this.unload();
    };
  }

  /** Plays from a play session's URL, from where the previous session stopped, if there was one. */
  play(url: string): void {
    this.isStopped = false;
    this.recovered();
    this.meter = newMeter();
    if (this.pendingStart?.play) this.meter.requested();
    this.onFailure(null);
    this.show(url);
  }

  /** Unloads the film; its position is kept for the next session. */
  stop(): void {
    if (this.isStopped) return;
    this.save({ keepalive: true });
    this.isStopped = true;
    this.recovered();
    this.pendingStart ??= { at: this.lastPosition, play: this.isPlaying, saving: 'same' };
    if (document.fullscreenElement) void document.exitFullscreen();
    this.unload();
  }

  /** Called when the viewer asked to play: the next source plays, even if it was paused before. */
  playNext(): void {
    if (this.pendingStart) this.pendingStart.play = true;
  }

  /** Returns the quality of experience of the current play session. */
  experience(): Qoe {
    this.countDropped();
    return this.meter.report();
  }

  /** Call once, when the start position that the viewer wants is known. */
  begin(at: number, options: { savePosition: boolean }): void {
    this.pendingStart = { at, play: true, saving: options.savePosition ? 'fresh' : 'off' };
    this.lastPosition = at;
    if (!this.isStopped) this.meter.requested();
    if (this.video.readyState >= HTMLMediaElement.HAVE_METADATA) this.applyStart();
  }

  /** Loads the film anew, at the viewer's request, from the last position or another one. */
  async retry(at = this.lastPosition): Promise<void> {
    this.lastPosition = at;
    this.isPlaying = true;
    this.onFailure(null);
    await this.reload(true);
  }

  private applyStart(): void {
    const start = this.pendingStart;
    if (!start) return;
    this.pendingStart = null;
    if (start.at > 0) this.video.currentTime = start.at;
    if (start.saving === 'fresh') this.policy.start(start.at);
    if (start.saving === 'same') this.policy.resume();
    // Without a click on this page yet, browsers refuse to start by themselves; the play button is there.
    if (start.play) this.video.play().catch(() => this.meter.refused());
  }

  private show(url: string): void {
    this.sources += 1;
    this.source.show(url, this.pendingStart?.at ?? 0);
  }

  private unload(): void {
    this.source.unload();
  }

  private countDropped(): void {
    this.meter.droppedFrames(this.video.getVideoPlaybackQuality().droppedVideoFrames);
  }

  private notePosition(): void {
    if (this.pendingStart || this.video.error || this.video.seeking) return;
    this.lastPosition = this.video.currentTime;
    this.countDropped();
    if (this.recoveringAt !== null && Math.abs(this.lastPosition - this.recoveringAt) > RECOVERED_SEC) {
      this.recovered();
    }
  }

  private noteEnd(): void {
    this.save();
    clearTimeout(this.finishTimer);
    this.finishTimer = setTimeout(() => {
      if (!this.video.ended || this.isStopped) return;
      this.pendingStart = { at: 0, play: true, saving: 'same' };
      this.onFinished();
    }, FINISHED_MS);
  }

  private notePlay(): void {
    this.isPlaying = true;
    this.meter.requested();
  }

  private notePause(): void {
    if (!this.pendingStart && !this.video.error) this.isPlaying = false;
    this.save();
  }

  /** After a seek that failed, playback resumes at its target. */
  private noteTarget(): void {
    if (!this.pendingStart && !this.video.error) this.lastPosition = this.video.currentTime;
  }

  private saveWhileRunning(): void {
    if (!this.video.seeking) this.save();
  }

  private saveAfterSeek(): void {
    clearTimeout(this.seekTimer);
    this.seekTimer = setTimeout(() => this.saveWhileRunning(), SEEK_SETTLES_MS);
  }

  private save({ keepalive = false } = {}): void {
    const { policy, video } = this;
    const write = policy.next({ position: video.currentTime, duration: video.duration });
    if (!write) return;
    const { keep } = this.source;
    // At once, as a page that is closed has no time for an answer.
    keep?.(write, false);
    saveProgress(this.videoId, write, keepalive).then(
      () => keep?.(write, true),
      () => policy.failed(write),
    );
  }

  private onVisibility(): void {
    if (document.visibilityState === 'hidden') {
      this.hiddenSince = Date.now();
      this.save({ keepalive: true });
      return;
    }
    const away = this.hiddenSince === null ? 0 : Date.now() - this.hiddenSince;
    this.hiddenSince = null;
    void refresher.ensureFresh(SESSION_MAX_AGE_MS);
    if (away > AWAY_LONG_MS && this.video.paused) void this.resync({ newSession: false });
  }

  /**
   * The viewer returns to a page that was idle, perhaps after watching elsewhere. The newest saved position wins, and
   * watching on here counts as a new session: the server ignores sessions older than the last one it saw.
   */
  private async resync({ newSession }: { newSession: boolean }): Promise<void> {
    if (!this.policy.isTracking) return;
    this.policy.suspend();
    try {
      const record = await getProgress(this.videoId);
      const here = this.pendingStart?.at ?? this.video.currentTime;
      const movedElsewhere =
        record !== null && Math.abs(record.position - (this.policy.lastSaved ?? here)) > ELSEWHERE_SEC;
      if (movedElsewhere || newSession) {
        const goesThere = movedElsewhere && !record.completed && this.video.paused;
        this.watchOnFrom(goesThere ? record.position : here);
        return;
      }
    } catch {
      // The position is unknown, so continue as before.
    }
    if (!this.pendingStart) this.policy.resume();
  }

  private watchOnFrom(at: number): void {
    this.policy = new ProgressPolicy(uuid7());
    if (this.pendingStart) {
      // The film is being reloaded, and will start there.
      this.pendingStart = { ...this.pendingStart, at, saving: 'fresh' };
      this.lastPosition = at;
      return;
    }
    if (at !== this.video.currentTime) this.video.currentTime = at;
    this.policy.start(at);
  }

  /** Most interruptions are brief, so one silent attempt precedes any message to the viewer. */
  private async recover(): Promise<void> {
    if (this.isStopped) return;
    this.policy.suspend();
    const { error } = this.video;
    const isFirst = this.recoveringAt === null;
    const mayPass = isFirst || error?.code === MediaError.MEDIA_ERR_NETWORK;
    if (error?.code === MediaError.MEDIA_ERR_DECODE || !mayPass) {
      this.fail({ ...mediaFailure(error), retries: false });
      return;
    }
    this.recoveringAt = this.lastPosition;
    if (isFirst) await this.reload(this.isPlaying);
    else this.retryLater({ kind: 'network' }, null);
  }

  /** The film's connection is silent: ask on a new one, which the gateway may lead to another replica. */
  private async askAgain(): Promise<void> {
    if (this.isStopped || this.cancelRetry) return;
    this.policy.suspend();
    this.recoveringAt ??= this.lastPosition;
    await this.reload(this.isPlaying);
  }

  private recovered(): void {
    this.cancelRetry?.();
    this.cancelRetry = null;
    this.recoveringAt = null;
    this.failures = 0;
  }

  /** Continues at the same position, with a URL that is known to work. */
  private async reload(play: boolean): Promise<void> {
    const { sources } = this;
    this.cancelRetry?.();
    this.cancelRetry = null;
    const isOutdated = () => this.attached.signal.aborted || this.isStopped || sources !== this.sources;
    try {
      const url = await this.renewSource();
      if (!this.source.isStored) await probeStream(url);
      if (isOutdated()) return;
      this.pendingStart ??= { at: this.lastPosition, play, saving: 'same' };
      this.onFailure(null);
      this.show(url);
    } catch (error) {
      // The owner of the session shows its end to the viewer.
      if (error instanceof SessionOverError || isOutdated()) return;
      const reason: FailureReason =
        error instanceof ApiError ? { kind: 'refused', error } : { kind: 'network' };
      if (isPassing(error)) this.retryLater(reason, retryAfterOf(error));
      else this.fail({ ...reason, retries: false });
    }
  }

  /** Retries while the server is away or breaks off responses, at growing intervals, also in hidden tabs. */
  private retryLater(reason: FailureReason, atLeastSec: number | null): void {
    this.failures += 1;
    this.fail({ ...reason, retries: true });
    const delayMs = retryDelayMs(this.failures, atLeastSec, Math.random());
    this.cancelRetry?.();
    this.cancelRetry = backgroundTimers.later(delayMs, () => void this.reload(this.isPlaying));
  }

  private fail(failure: PlaybackFailure): void {
    if (document.fullscreenElement) void document.exitFullscreen();
    this.onFailure(failure);
  }
}

function newMeter(): QoeMeter {
  return new QoeMeter(() => performance.now());
}

function mediaFailure(error: MediaError | null): FailureReason {
  switch (error?.code) {
    case MediaError.MEDIA_ERR_NETWORK:
      return { kind: 'network' };
    case MediaError.MEDIA_ERR_DECODE:
      return { kind: 'decode' };
    default:
      return { kind: 'source' };
  }
}
