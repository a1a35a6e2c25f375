import { getHighlights, type Highlight } from '../../api/discovery';
import { PlayIcon } from '../../components/Icon';
import { language } from '../../i18n';
import { v } from '../../i18n/viewer';
import { formatClock } from '../../lib/format';
import { useLoad } from '../../lib/hooks';
import { rangeLink } from '../../lib/ranges';
import { playFrom } from '../../player/jump';

/** The highlights of a film as points to jump to. */
export function Chapters({ videoId }: { videoId: string }) {
  const [loaded] = useLoad((signal) => getHighlights(videoId, { signal }), [videoId]);
  const highlights = loaded.data?.items ?? [];
  if (highlights.length === 0) return null;
  return (
    <section class="chapters" aria-labelledby="chapters" data-testid="chapters">
      <h2 id="chapters">{v('highlights.ofFilm')}</h2>
      <ol>
        {highlights.map((highlight) => (
          <li key={highlight.id}>
            <a
              href={rangeLink(videoId, highlight.start)}
              data-testid="chapter"
              onClick={(event) => {
                // With a player on the page there is nothing to load.
                if (playFrom(highlight.start)) {
                  event.preventDefault();
                  event.stopPropagation();
                }
              }}
            >
              <span class="chapter-time">
                <PlayIcon size={14} /> {formatClock(highlight.start)}
              </span>
              <span class="chapter-title">{highlightName(highlight)}</span>
              <span class="chapter-meta">{highlightFacts(highlight)}</span>
            </a>
          </li>
        ))}
      </ol>
    </section>
  );
}

export function highlightName({ title, category, players, start }: Highlight): string {
  return title || [category, players.join(', ')].filter(Boolean).join(': ') || formatClock(start);
}

export function highlightFacts({ title, category, players, pot_size }: Highlight): string {
  const pot =
    pot_size === null
      ? ''
      : v('highlights.pot', { size: new Intl.NumberFormat(language.value).format(pot_size) });
  // Without a title, these are its name.
  const facts = title ? [category, players.join(', '), pot] : [pot];
  return facts.filter(Boolean).join(' · ');
}
