import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { t } from '../i18n';
import { cardAfterKey } from '../lib/rowKeys';
import { Icon } from './Icon';

interface Props {
  /** Names the row, and its test id. */
  id: string;
  title: ComponentChildren;
  /** Shown as text by screen readers; `title` may hold a link. */
  label: string;
  children: ComponentChildren;
  /** Called when the end comes near; absent when there is no more. */
  onEnd?: (() => void) | undefined;
}

/** A row of cards that scrolls sideways: by touch, by its buttons, and by the arrow keys from card to card. */
export function Shelf({ id, title, label, children, onEnd }: Props) {
  const row = useRef<HTMLDivElement>(null);
  const [ends, setEnds] = useState({ left: true, right: true });

  const measure = () => {
    const element = row.current;
    if (!element) return;
    const rest = element.scrollWidth - element.clientWidth - Math.abs(element.scrollLeft);
    const next = { left: element.scrollLeft < 4, right: rest < 4 };
    setEnds((before) => (before.left === next.left && before.right === next.right ? before : next));
    if (rest < element.clientWidth / 2 && element.scrollLeft > 0) onEnd?.();
  };

  useEffect(() => {
    measure();
    const observer = new ResizeObserver(measure);
    if (row.current) observer.observe(row.current);
    return () => observer.disconnect();
  });

  const scroll = (direction: number) =>
    row.current?.scrollBy({ left: direction * row.current.clientWidth * 0.85, behavior: 'smooth' });

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const links = [...(row.current?.querySelectorAll<HTMLElement>('a') ?? [])];
    const current = links.indexOf(document.activeElement as HTMLElement);
    const next = current < 0 ? null : cardAfterKey(event.key, current, links.length);
    if (next === null) return;
    event.preventDefault();
    links[next]?.focus();
    links[next]?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  };

  return (
    <section class="shelf" aria-labelledby={`shelf-${id}`} data-testid={`row-${id}`}>
      <div class="shelf-head">
        <h2 id={`shelf-${id}`}>{title}</h2>
        {!(ends.left && ends.right) && (
          <div class="shelf-buttons">
            <ScrollButton
              label={t('row.back', { title: label })}
              isOff={ends.left}
              onClick={() => scroll(-1)}
            />
            <ScrollButton
              label={t('row.forward', { title: label })}
              isOff={ends.right}
              onClick={() => scroll(1)}
              isForward
            />
          </div>
        )}
      </div>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the keys come from the links inside */}
      <div class="row" ref={row} onScroll={measure} onKeyDown={onKeyDown}>
        {children}
      </div>
    </section>
  );
}

interface ScrollButtonProps {
  label: string;
  isOff: boolean;
  isForward?: boolean;
  onClick: () => void;
}

function ScrollButton({ label, isOff, isForward = false, onClick }: ScrollButtonProps) {
  return (
    <button
      type="button"
      class={isForward ? 'shelf-button forward' : 'shelf-button'}
      aria-label={label}
      title={label}
      disabled={isOff}
      onClick={onClick}
    >
      <Icon name="back" size={18} />
    </button>
  );
}
