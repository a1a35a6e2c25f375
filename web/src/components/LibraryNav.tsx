import { useLocation } from 'preact-iso';
import { type MessageKey, t } from '../i18n';
import '../styles/library.css';

const PAGES: readonly (readonly [path: string, label: MessageKey])[] = [
  ['/watchlist', 'nav.watchlist'],
  ['/history', 'nav.history'],
  ['/bookmarks', 'nav.bookmarks'],
  ['/downloads', 'nav.downloads'],
];

/** Links between the pages of what a viewer has kept. */
export function LibraryNav() {
  const { path } = useLocation();
  return (
    <nav class="tabs" aria-label={t('nav.library')} data-testid="library-nav">
      {PAGES.map(([href, label]) => (
        <a key={href} href={href} aria-current={path === href ? 'page' : undefined}>
          {t(label)}
        </a>
      ))}
    </nav>
  );
}
