import { useEffect, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { type Film, getPlace } from '../api/discovery';
import { PlayIcon } from '../components/Icon';
import { p } from '../i18n/playing';
import { useLoad } from '../lib/hooks';
import { parseRange } from '../lib/ranges';

/** Long enough to say no. */
const COUNTDOWN_SEC = 8;

/** After an episode: the next one, which begins by itself unless the viewer stays. Nothing after a mere part of a film. */
export function UpNext({ videoId }: { videoId: string }) {
  const [loaded] = useLoad((signal) => getPlace(videoId, { signal }), [videoId]);
  const isPart = parseRange(useLocation().query)?.until != null;
  const next = loaded.data?.next;
  return next && !isPart ? <Countdown next={next} /> : null;
}

function Countdown({ next }: { next: Film }) {
  const { route } = useLocation();
  const [left, setLeft] = useState(COUNTDOWN_SEC);
  const [isOff, setOff] = useState(false);
  const play = () => route(`/watch/${encodeURIComponent(next.id)}`);

  useEffect(() => {
    if (isOff) return;
    const timer = setTimeout(() => {
      // A hidden page is not watched: it waits.
      if (document.hidden) setLeft(COUNTDOWN_SEC);
      else if (left > 1) setLeft(left - 1);
      else play();
    }, 1000);
    return () => clearTimeout(timer);
  });

  return (
    <section class="up-next" aria-label={p('upNext.title', { title: next.title })} data-testid="up-next">
      <p>{p('upNext.title', { title: next.title })}</p>
      {!isOff && (
        <p class="quiet" aria-hidden="true">
          {p('upNext.text', { seconds: left })}
        </p>
      )}
      <div class="session-actions">
        <button type="button" class="button button-primary" data-testid="up-next-play" onClick={play}>
          <PlayIcon size={18} />
          {p('upNext.play')}
        </button>
        {!isOff && (
          <button type="button" class="button" data-testid="up-next-cancel" onClick={() => setOff(true)}>
            {p('upNext.cancel')}
          </button>
        )}
      </div>
    </section>
  );
}
