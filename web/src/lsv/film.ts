import { computed, effect, type ReadonlySignal, signal } from '@preact/signals';
import type { Watermark } from '../api/types';
import type { FilmSource } from '../player/filmSource';
import type { PlaySession } from '../playsession/playSession';
import { session as login } from '../session/session';
import { Cover } from './Cover';
import { Engine } from './engine';
import type { StoredParts } from './offline/storedParts';
import type { LoaderPort } from './protocol';
import { noticeOf } from './sentences';
import type { KeySource } from './sessionKeys';
import { PlayerStatus } from './status';
import { Veil } from './Veil';
import { strongWatermark } from './watermark';

/** How often a licence is looked at while its film is open. */
const TERM_CHECK_MS = 30_000;

/** A protected film on the page: what a <video> alone can't do for it. */
export class ProtectedFilm {
  readonly status = new PlayerStatus();
  /** Lies over the picture, in full screen too. */
  readonly Veil = Veil;
  /** Takes the place of the picture when playback has ended with an error. */
  readonly Cover = Cover;
  /** Grows each time the film is loaded: its watermark is then made, and watched, anew. */
  readonly round = signal(0);
  private readonly mark = signal<Watermark | null>(null);
  private engine: Engine | null = null;
  /** Started ahead of time: its code is there when the film's first bytes are asked for. */
  private spareLoader: LoaderPort | null = createLoader();
  private forgetStatus: () => void = () => undefined;
  private termTimer: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly keys: KeySource,
    /** For its play sessions. */
    readonly publicKey: string | null,
    /** What this browser keeps of it, if it is played from there. */
    readonly stored: StoredParts | null = null,
  ) {}

  /** Whether `Cover` is shown. */
  readonly isCovered = computed(() => (noticeOf(this.status.signal.value)?.hint ?? null) !== null);

  get watermark(): ReadonlySignal<Watermark | null> {
    return this.mark;
  }

  /** Where the film goes on behind the damaged part that ended playback, in seconds. */
  get beyondDamage(): number | null {
    return this.engine?.beyondDamage ?? null;
  }

  /** The watermark is gone: nothing is shown without it. */
  watermarkRemoved(): void {
    this.engine?.refuse('watermark');
  }

  source(video: HTMLVideoElement, session: PlaySession): FilmSource {
    // A window of its own would show the picture without its watermark.
    video.disablePictureInPicture = true;
    video.addEventListener('enterpictureinpicture', () => void document.exitPictureInPicture());
    const { stored } = this;
    if (stored) {
      this.termTimer = setInterval(() => void this.checkTerm(stored), TERM_CHECK_MS);
      this.forgetStatus = effect(() => {
        const { state, cause } = this.status.signal.value;
        if (state === 'error-fatal' && cause === 'damaged') void stored.noteDamage();
      });
    }
    return {
      recovers: true,
      isStored: stored !== null,
      ...(stored && { keep: (write, isSent) => void stored.keep(write, isSent).catch(() => undefined) }),
      show: (url, at) => {
        this.engine?.stop();
        this.engine = new Engine(
          video,
          {
            createLoader: () => this.takeLoader(),
            url: () => session.streamUrl ?? url,
            renew: () => session.renew(),
            license: (isRetry) => this.license(session, isRetry),
            status: this.status,
          },
          at,
        );
        this.engine.start();
        this.round.value += 1;
      },
      unload: () => {
        this.engine?.stop();
        this.engine = null;
        video.removeAttribute('src');
        video.load();
        this.status.emit('close');
      },
    };
  }

  /** Call when the film leaves the page. */
  dispose(): void {
    clearInterval(this.termTimer);
    this.forgetStatus();
    this.spareLoader?.terminate();
    this.spareLoader = null;
    this.stored?.dispose();
  }

  private async checkTerm(stored: StoredParts): Promise<void> {
    const over = await stored.over().catch(() => null);
    if (over) this.engine?.expire(over.cause);
  }

  private takeLoader(): LoaderPort {
    const loader = this.spareLoader ?? createLoader();
    this.spareLoader = null;
    return loader;
  }

  private async license(session: PlaySession, isRetry: boolean) {
    const { license, watermark } = await this.keys.license(session, isRetry);
    this.mark.value = watermark ?? this.mark.peek() ?? strongWatermark(viewerName());
    return license;
  }
}

function createLoader(): LoaderPort {
  return new Worker(new URL('./loader.worker.ts', import.meta.url), { type: 'module' }) as LoaderPort;
}

function viewerName(): string {
  const state = login.peek();
  return state.phase === 'authenticated' ? state.user.login_id : location.host;
}
