import type { RefObject } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { ProtectedFilm } from './film';
import { noticeOf, sentence } from './sentences';
import { showWatermark } from './watermark';

interface Props {
  film: ProtectedFilm;
  /** The element that this is a direct child of, and that goes full screen. */
  host: RefObject<HTMLElement | null>;
}

/** The watermark, and what the viewer reads while the film is got. */
export function Veil({ film, host }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    if (!canvas.current || !host.current) return;
    return showWatermark(
      canvas.current,
      host.current,
      () => film.watermark.peek(),
      () => film.watermarkRemoved(),
    );
  }, [film, host]);
  const status = film.status.signal.value;
  const notice = noticeOf(status);
  return (
    <>
      <canvas ref={canvas} class="watermark" data-testid="watermark" {...STAYS} />
      <p class="lsv-notice" role="status" data-testid="lsv-state" data-state={status.state} {...STAYS}>
        {notice && notice.hint === null && (
          // Another sentence waits anew before it is shown.
          <span key={notice.key}>
            <span aria-hidden="true">{notice.icon} </span>
            {sentence(notice.key)}
          </span>
        )}
      </p>
    </>
  );
}

/** Of media-chrome: not hidden with the controls. */
const STAYS = { noautohide: true };
