import { effect } from '@preact/signals';
import type { PlaySession } from '../../playsession/playSession';
import { isLapse, type Refusal } from '../../playsession/state';
import type { Progress } from './downloadPlan';
import { bindingOf, type Device, filmKey, type StoredFilm } from './licences';
import type { DownloaderPort, DownloadFailure, FromDownloader } from './protocol';

export type DownloadEvent =
  | { type: 'progress'; progress: Progress | null; isWaiting: boolean }
  | { type: 'queued' }
  | { type: 'complete'; progress: Progress }
  | { type: 'stopped' }
  | { type: 'refused'; refusal: Refusal }
  /** The server does not let this viewer have the film, or it is gone. */
  | { type: 'error'; error: unknown }
  | { type: 'failed'; failure: DownloadFailure };

/** One film on its way: a worker that fetches, and a play session whose ticket lets it. */
export class Download {
  private isRunning = false;
  private isOver = false;
  private readonly forget: () => void;
  private settle: () => void = () => undefined;
  /** Settled once nothing is fetched or written any more. */
  readonly done = new Promise<void>((resolve) => {
    this.settle = resolve;
  });
  private readonly attached = new AbortController();

  constructor(
    private readonly film: StoredFilm,
    private readonly device: Device,
    private readonly worker: DownloaderPort,
    private readonly session: PlaySession,
    private readonly onEvent: (event: DownloadEvent) => void,
  ) {
    worker.onmessage = ({ data }) => this.take(data);
    worker.onerror = () => this.crash();
    worker.onmessageerror = () => this.crash();
    const { signal } = this.attached;
    addEventListener('online', () => worker.postMessage({ type: 'hurry' }), { signal });
    addEventListener('pagehide', () => session.close({ closing: true }), { signal });
    session.open();
    this.forget = effect(() => this.follow());
  }

  /** What has arrived stays. The last event is `stopped`. */
  stop(): void {
    if (this.isRunning) this.worker.postMessage({ type: 'stop' });
    else this.finish({ type: 'stopped' });
  }

  private follow(): void {
    const state = this.session.state.value;
    switch (state.phase) {
      case 'active':
        this.feed();
        break;
      case 'queued':
        this.onEvent({ type: 'queued' });
        break;
      case 'refused':
        this.finish({ type: 'refused', refusal: state.refusal });
        break;
      case 'failed':
        this.finish({ type: 'error', error: state.error });
        break;
      case 'gone':
        // The computer slept, or the network was away. Otherwise the viewer, or an administrator, ended it.
        if (isLapse(state.reason)) queueMicrotask(() => !this.isOver && this.session.open());
        else this.stop();
        break;
      case 'unavailable':
        this.onEvent({ type: 'progress', progress: null, isWaiting: true });
        break;
      case 'opening':
      case 'closed':
        break;
    }
  }

  private feed(): void {
    const url = this.session.streamUrl;
    if (url === null) return;
    if (this.isRunning) {
      this.worker.postMessage({ type: 'url', url });
      return;
    }
    this.isRunning = true;
    const { licence, userId, video } = this.film;
    const name = filmKey(userId, video.id);
    const { keys } = this.device;
    this.worker.postMessage({
      type: 'download',
      name,
      url,
      grant: licence,
      keys,
      binding: bindingOf(licence),
    });
  }

  private take(message: FromDownloader): void {
    switch (message.type) {
      case 'progress':
        this.onEvent(message);
        break;
      case 'ticket':
        // When the session is over, its state says so; when the server is away, the worker asks again.
        this.session.renew().then(
          (url) => this.worker.postMessage({ type: 'url', url }),
          () => this.worker.postMessage({ type: 'hurry' }),
        );
        break;
      case 'complete':
      case 'stopped':
      case 'failed':
        this.finish(message);
        break;
      case 'removed':
      case 'tested':
        break;
    }
  }

  private crash(): void {
    this.finish({ type: 'failed', failure: { kind: 'worker' } });
  }

  private finish(event: DownloadEvent): void {
    if (this.isOver) return;
    this.isOver = true;
    this.attached.abort();
    // The effect may be running right now, for the first time.
    queueMicrotask(() => this.forget());
    this.worker.terminate();
    this.session.close();
    this.onEvent(event);
    this.settle();
  }
}
