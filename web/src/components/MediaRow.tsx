import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { HistoryEntry } from '../api/types';
import { v } from '../i18n/viewer';
import { Icon } from './Icon';
import '../styles/library.css';

interface Props {
  video: HistoryEntry['video'];
  /** Where the film is played from; not followed when the film is gone. */
  href: string;
  /** What stands over the picture's bottom edge. */
  overlay?: ComponentChildren;
  /** The lines below the title. */
  children: ComponentChildren;
  actions: ComponentChildren;
  /** The heading of the line, one below that of its list. */
  heading?: 'h2' | 'h3';
  testId: string;
}

/** A film as a line of a list. */
export function MediaRow({
  video,
  href,
  overlay,
  children,
  actions,
  heading: Heading = 'h3',
  testId,
}: Props) {
  return (
    <li class="media-row" data-testid={testId} data-video-id={video?.id}>
      <div class="media-picture">
        <Picture url={video?.thumbnail_url ?? null} />
      </div>
      {overlay}
      <div class="media-text">
        <Heading class="media-title">
          {video ? <a href={href}>{video.title}</a> : <span class="quiet">{v('list.gone')}</span>}
        </Heading>
        {children}
      </div>
      <div class="media-actions">{actions}</div>
    </li>
  );
}

function Picture({ url }: { url: string | null }) {
  const [broken, setBroken] = useState<string | null>(null);
  if (!url || broken === url) return <Icon name="film" size={28} />;
  return <img src={url} alt="" loading="lazy" decoding="async" onError={() => setBroken(url)} />;
}

/** The place of a list that is being loaded. */
export function MediaSkeletons({ count = 6 }: { count?: number }) {
  return (
    <div class="media-list" aria-hidden="true">
      {Array.from({ length: count }, (_, index) => (
        <div key={`skeleton-${index}`} class="media-row skeleton">
          <div class="media-picture" />
          <div class="media-text">
            <div class="skeleton-line" />
            <div class="skeleton-line short" />
          </div>
        </div>
      ))}
    </div>
  );
}

/** Moves the focus to the next line, the one before at the end, or the heading, before a line disappears. */
export function focusAfterRemoval(root: HTMLElement | null, index: number): void {
  const links = [...(root?.querySelectorAll<HTMLElement>('.media-title a, .media-title span') ?? [])];
  const next = links[index + 1] ?? links[index - 1] ?? root?.querySelector<HTMLElement>('h1');
  if (next) {
    if (next.localName === 'span') next.tabIndex = -1;
    next.focus();
  }
}
