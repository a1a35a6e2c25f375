import type { RefObject } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { p } from '../i18n/playing';
import { listenToTouches } from './gestures';
import { seekBy } from './jump';
import { toggleFullscreen } from './useHotkeys';

const SHOWN_MS = 700;

interface Props {
  controller: RefObject<HTMLElement | null>;
  video: RefObject<HTMLVideoElement | null>;
}

/** Does what fingers ask for on the picture, and shows how far a double tap has sought. */
export function TouchLayer({ controller, video }: Props) {
  const [sought, setSought] = useState<{ seconds: number } | null>(null);

  useEffect(() => {
    const host = controller.current;
    const film = video.current;
    if (!host || !film) return;
    return listenToTouches(host, film, (gesture) => {
      if (gesture.type === 'swipe-down') {
        if (document.fullscreenElement) toggleFullscreen(host);
      } else if (seekBy(film, gesture.by)) setSought({ seconds: gesture.total });
    });
  }, [controller, video]);

  useEffect(() => {
    if (!sought) return;
    const timer = setTimeout(() => setSought(null), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [sought]);

  if (!sought) return null;
  const { seconds } = sought;
  return (
    <div
      slot="centered-chrome"
      class={seconds < 0 ? 'sought sought-back' : 'sought'}
      aria-hidden="true"
      data-testid="sought"
    >
      <span>{p(seconds < 0 ? 'touch.back' : 'touch.forward', { seconds: Math.abs(seconds) })}</span>
    </div>
  );
}
