import { useEffect, useRef } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { t } from '../i18n';
import { Icon } from './Icon';

const DEBOUNCE_MS = 300;

/** Uncontrolled, so that nothing rewrites the field while an input method is still composing a Hangul syllable. */
export function SearchBox() {
  const { path, query, route } = useLocation();
  const input = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const shown = path === '/' ? (query.query ?? '') : '';

  useEffect(() => {
    const field = input.current;
    if (field && field !== document.activeElement) field.value = shown;
  }, [shown]);

  useEffect(() => () => clearTimeout(timer.current), []);

  const search = () => {
    clearTimeout(timer.current);
    const text = input.current?.value.trim() ?? '';
    if (text === shown) return;
    const target = text ? `/?query=${encodeURIComponent(text)}` : '/';
    // Refining a search replaces its history entry: Back leaves the search in one step.
    route(target, path === '/' && shown !== '');
  };

  return (
    // biome-ignore lint/a11y/useSemanticElements: <search> is not yet announced by every screen reader
    <form
      class="search-box"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        search();
      }}
    >
      <Icon name="search" size={18} />
      <input
        ref={input}
        type="search"
        defaultValue={shown}
        placeholder={t('search.placeholder')}
        aria-label={t('search.label')}
        maxLength={200}
        data-testid="search-input"
        onInput={() => {
          clearTimeout(timer.current);
          timer.current = setTimeout(search, DEBOUNCE_MS);
        }}
      />
    </form>
  );
}
