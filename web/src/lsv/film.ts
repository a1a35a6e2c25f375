import { computed, type ReadonlySignal, signal } from '@preact/signals';
import { endReason, requestSessionKey } from '../api/playSessions';
import type { KeyGrant, Watermark } from '../api/types';
import type { FilmSource } from '../player/filmSource';
import { type PlaySession, SessionOverError } from '../playsession/playSession';
import { session as login } from '../session/session';
import { toBase64Url } from './bytes';
import { Cover } from './Cover';
import { Engine } from './engine';
import type { ExchangeKeys } from './exchange';
import type { LoaderPort } from './protocol';
import { noticeOf } from './sentences';
import { PlayerStatus } from './status';
import { Veil } from './Veil';
import { strongWatermark } from './watermark';

/** A protected film on the page: what a <video> alone can't do for it. */
export class ProtectedFilm {
  readonly status = new PlayerStatus();
  /** Lies over the picture, in full screen too. */
  readonly Veil = Veil;
  /** Takes the place of the picture when playback has ended with an error. */
  readonly Cover = Cover;
  readonly publicKey: string;
  /** Grows each time the film is loaded: its watermark is then made, and watched, anew. */
  readonly round = signal(0);
  private readonly mark = signal<Watermark | null>(null);
  private engine: Engine | null = null;
  /** Started ahead of time: its code is there when the film's first bytes are asked for. */
  private spareLoader: LoaderPort | null = createLoader();

  constructor(
    private readonly videoId: string,
    private readonly keys: ExchangeKeys,
  ) {
    this.publicKey = toBase64Url(keys.publicKey);
  }

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
    return {
      recovers: true,
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
    this.spareLoader?.terminate();
    this.spareLoader = null;
  }

  private takeLoader(): LoaderPort {
    const loader = this.spareLoader ?? createLoader();
    this.spareLoader = null;
    return loader;
  }

  private async license(session: PlaySession, isRetry: boolean) {
    const state = session.state.peek();
    if (state.phase !== 'active') throw new SessionOverError();
    const { videoId, keys } = this;
    const grant = (isRetry ? null : session.key) ?? (await this.requestKey(session, state.id));
    this.mark.value = grant.watermark ?? this.mark.peek() ?? strongWatermark(viewerName());
    return {
      grant,
      keys,
      binding: { scope: 'ONLINE_STREAM_ONLY' as const, sessionId: state.id, videoId },
      stored: null,
    };
  }

  private async requestKey(session: PlaySession, id: string): Promise<KeyGrant> {
    try {
      return await requestSessionKey(id, this.publicKey);
    } catch (error) {
      // Has the session show to the viewer that it is over.
      if (endReason(error) !== null) await session.renew();
      throw error;
    }
  }
}

function createLoader(): LoaderPort {
  return new Worker(new URL('./loader.worker.ts', import.meta.url), { type: 'module' }) as LoaderPort;
}

function viewerName(): string {
  const state = login.peek();
  return state.phase === 'authenticated' ? state.user.login_id : location.host;
}
