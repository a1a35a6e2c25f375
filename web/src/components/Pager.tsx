import type { ComponentChildren } from 'preact';

interface Props {
  page: number;
  hasNext: boolean;
  previousHref: string;
  nextHref: string;
  texts: { label: string; previous: string; next: string; position: ComponentChildren };
}

/** Links to the pages before and after the one shown. */
export function Pager({ page, hasNext, previousHref, nextHref, texts }: Props) {
  if (page === 1 && !hasNext) return null;
  return (
    <nav class="pages admin-pages" aria-label={texts.label} data-testid="pager">
      {page > 1 && (
        <a class="button" href={previousHref} data-testid="previous-page">
          {texts.previous}
        </a>
      )}
      <span class="quiet">{texts.position}</span>
      {hasNext && (
        <a class="button" href={nextHref} data-testid="next-page">
          {texts.next}
        </a>
      )}
    </nav>
  );
}
