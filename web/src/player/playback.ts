import { refresher } from '../api';
import { getProgress, probeStream, saveProgress } from '../api/endpoints';
import { ApiError } from '../api/errors';
import { uuid7 } from '../lib/uuid7';
import { ProgressPolicy } from './progressPolicy';

export type PlaybackFailure =
  | { kind: 'refused'; error: ApiError }
  | { kind: 'network' | 'decode' | 'source' };

const SAVE_EVERY_MS = 5000;
const SEEK_SETTLES_MS = 400;
const SESSION_CHECK_MS = 60_000;
const SESSION_MAX_AGE_MS = 9 * 60_000;
const AWAY_LONG_MS = 30_000;
const RECOVERED_SEC = 3;
const ELSEWHERE_SEC = 2;

interface Start {
  at: number;
  play: boolean;
  /** `fresh` begins saving, `same` goes on saving after an interruption, `off` never saves. */
  saving: 'fresh' | 'same' | 'off';
}

/** Drives one <video>: where it starts, when its position is saved, and how it gets over errors. */
export class Playback {
  private policy = new ProgressPolicy(uuid7());
  private pendingStart: Start | null = null;
  private lastPosition = 0;
  private recoveringAt: number | null = null;
  private hiddenSince: number | null = null;
  private seekTimer: ReturnType<typeof setTimeout> | undefined;
  private attached = new AbortController();

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly videoId: string,
    private readonly onFailure: (failure: PlaybackFailure | null) => void,
  ) {}

  attach(): () => void {
    const { signal } = this.attached;
    const onVideo = (type: keyof HTMLVideoElementEventMap, listener: () => void) =>
      this.video.addEventListener(type, listener, { signal });
    onVideo('loadedmetadata', () => this.applyStart());
    onVideo('timeupdate', () => this.notePosition());
    onVideo('seeking', () => this.noteTarget());
    onVideo('pause', () => this.save());
    onVideo('ended', () => this.save());
    onVideo('seeked', () => this.saveAfterSeek());
    onVideo('error', () => void this.recover());
    // Resetting the element sets its position to 0, which is nobody's place in the film.
    onVideo('emptied', () => this.policy.suspend());
    document.addEventListener('visibilitychange', () => this.onVisibility(), { signal });
    window.addEventListener('pagehide', () => this.save({ keepalive: true }), { signal });
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
      // Ends the download at once instead of whenever the element is collected.
      this.video.removeAttribute('src');
      this.video.load();
    };
  }

  /** To be called once, when it is known where the viewer wants to start. */
  begin(at: number, options: { savePosition: boolean }): void {
    this.pendingStart = { at, play: true, saving: options.savePosition ? 'fresh' : 'off' };
    this.lastPosition = at;
    if (this.video.readyState >= HTMLMediaElement.HAVE_METADATA) this.applyStart();
  }

  async retry(): Promise<void> {
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
    if (start.play) this.video.play().catch(() => undefined);
  }

  private notePosition(): void {
    if (this.pendingStart || this.video.error || this.video.seeking) return;
    this.lastPosition = this.video.currentTime;
    if (this.recoveringAt !== null && Math.abs(this.lastPosition - this.recoveringAt) > RECOVERED_SEC) {
      this.recoveringAt = null;
    }
  }

  /** After a jump that failed, the viewer wants to arrive where it was aimed. */
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
    saveProgress(this.videoId, write, keepalive).catch(() => policy.failed(write));
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
   * The viewer comes back to a page that lay still, perhaps after watching on elsewhere. The newest saved place wins,
   * and watching on from here counts as a new session: the server ignores sessions older than the last one it saw.
   */
  private async resync({ newSession }: { newSession: boolean }): Promise<void> {
    if (!this.policy.isTracking) return;
    this.policy.suspend();
    try {
      const record = await getProgress(this.videoId);
      const known = this.policy.lastSaved ?? this.video.currentTime;
      const movedElsewhere = record !== null && Math.abs(record.position - known) > ELSEWHERE_SEC;
      if (movedElsewhere || newSession) {
        if (movedElsewhere && !record.completed && this.video.paused)
          this.video.currentTime = record.position;
        this.policy = new ProgressPolicy(uuid7());
        this.policy.start(this.video.currentTime);
        return;
      }
    } catch {
      // Unknown is not different: go on as before.
    }
    this.policy.resume();
  }

  /** Most interruptions pass by themselves, so one silent attempt comes before the viewer hears of it. */
  private async recover(): Promise<void> {
    this.policy.suspend();
    const { error } = this.video;
    if (this.recoveringAt !== null || error?.code === MediaError.MEDIA_ERR_DECODE) {
      this.fail(mediaFailure(error));
      return;
    }
    this.recoveringAt = this.lastPosition;
    await this.reload(!this.video.paused);
  }

  private async reload(play: boolean): Promise<void> {
    try {
      await probeStream(this.videoId);
    } catch (error) {
      this.fail(error instanceof ApiError ? { kind: 'refused', error } : { kind: 'network' });
      return;
    }
    if (this.attached.signal.aborted) return;
    this.pendingStart ??= { at: this.lastPosition, play, saving: 'same' };
    this.video.load();
  }

  private fail(failure: PlaybackFailure): void {
    if (document.fullscreenElement) void document.exitFullscreen();
    this.onFailure(failure);
  }
}

function mediaFailure(error: MediaError | null): PlaybackFailure {
  switch (error?.code) {
    case MediaError.MEDIA_ERR_NETWORK:
      return { kind: 'network' };
    case MediaError.MEDIA_ERR_DECODE:
      return { kind: 'decode' };
    default:
      return { kind: 'source' };
  }
}
