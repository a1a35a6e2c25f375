import type { ProgressWrite } from '../api/types';

/** How a film gets into a <video>. */
export interface FilmSource {
  /** Whether it repeats by itself what fails or is silent. */
  readonly recovers: boolean;
  /** Whether it comes from this browser's own store, so that no server is asked for it. */
  readonly isStored?: boolean;
  /** Keeps a position in this browser; `isSent` says whether the server has it. */
  readonly keep?: (write: ProgressWrite, isSent: boolean) => void;
  /** Shows the film from a URL, anew if it is shown already; it will be asked to begin at a position in seconds. */
  show(url: string, at: number): void;
  /** Ends every download at once instead of whenever the element is collected. */
  unload(): void;
}

/** A file that the browser plays by itself. */
export function plainSource(video: HTMLVideoElement): FilmSource {
  return {
    recovers: false,
    show: (url) => {
      video.src = url;
    },
    unload: () => {
      video.removeAttribute('src');
      video.load();
    },
  };
}
