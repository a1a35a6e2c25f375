import { useEffect, useRef, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { t } from '../i18n';
import { LIST_ID, type Option, optionId, SuggestionList } from '../search/SuggestionList';
import {
  addressOf,
  addressOfSearch,
  forgetSearches,
  moved,
  recentSearches,
  rememberSearch,
} from '../search/suggestions';
import { useSuggestions } from '../search/useSuggestions';
import { Icon } from './Icon';

/**
 * A combobox (ARIA 1.2): suggestions for each key stroke, also while an input method composes a syllable. Uncontrolled,
 * so that nothing rewrites the field meanwhile.
 */
export function SearchBox() {
  const { path, query, route } = useLocation();
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState('');
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(-1);
  const [recent, setRecent] = useState<string[]>([]);
  const suggestions = useSuggestions(open ? text : '');
  const shown = path === '/' ? (query.query ?? '') : '';

  useEffect(() => {
    const field = input.current;
    if (field && field !== document.activeElement) field.value = shown;
  }, [shown]);

  const options: Option[] = text
    ? [
        ...(suggestions.did_you_mean ? [{ type: 'meant' as const, text: suggestions.did_you_mean }] : []),
        ...suggestions.items.map((result) => ({ type: 'result' as const, result })),
      ]
    : recent.map((each) => ({ type: 'recent' as const, text: each }));
  const expanded = open && options.length > 0;

  const show = () => {
    setText(input.current?.value.trim() ?? '');
    setRecent(recentSearches());
    setActive(-1);
    setOpen(true);
  };

  const search = (wanted: string) => {
    setOpen(false);
    if (wanted) rememberSearch(wanted);
    if (input.current) input.current.value = wanted;
    // Refining a search replaces its history entry: Back leaves the search in one step.
    if (wanted !== shown) route(wanted ? addressOfSearch(wanted) : '/', path === '/' && shown !== '');
  };

  const choose = (option: Option) => {
    if (option.type !== 'result') {
      search(option.text);
      return;
    }
    setOpen(false);
    rememberSearch(text);
    if (input.current) input.current.value = '';
    route(addressOf(option.result));
  };

  const onKeyDown = (event: KeyboardEvent) => {
    // The keys of an input method: Enter ends a syllable, arrows choose among its candidates.
    if (event.isComposing) return;
    if (event.key === 'Escape' && expanded) {
      event.preventDefault();
      setOpen(false);
    } else if ((event.key === 'ArrowDown' || event.key === 'ArrowUp') && !open) {
      event.preventDefault();
      show();
    } else if ((event.key === 'ArrowDown' || event.key === 'ArrowUp') && expanded) {
      event.preventDefault();
      setActive(moved(active, event.key === 'ArrowDown' ? 1 : -1, options.length));
    }
  };

  return (
    // biome-ignore lint/a11y/useSemanticElements: <search> is not yet announced by every screen reader
    <form
      class="search-box"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        const option = expanded ? options[active] : undefined;
        if (option) choose(option);
        else search(input.current?.value.trim() ?? '');
      }}
    >
      <Icon name="search" size={18} />
      <input
        ref={input}
        type="search"
        // biome-ignore lint/a11y/noRedundantRoles: there is no datalist, which would give it that role
        role="combobox"
        list={undefined}
        aria-autocomplete="list"
        aria-expanded={expanded}
        aria-controls={LIST_ID}
        aria-activedescendant={expanded && active >= 0 ? optionId(active) : undefined}
        autocomplete="off"
        defaultValue={shown}
        placeholder={t('search.placeholder')}
        aria-label={t('search.label')}
        maxLength={200}
        data-testid="search-input"
        onInput={show}
        onFocus={show}
        // A field that kept the focus after a choice opens again, too.
        onClick={show}
        onBlur={() => setOpen(false)}
        onKeyDown={onKeyDown}
      />
      {expanded && (
        <SuggestionList
          options={options}
          active={active}
          onChoose={choose}
          onForget={() => {
            forgetSearches();
            setRecent([]);
          }}
        />
      )}
    </form>
  );
}
