import type { ComponentChildren } from 'preact';
import type { SearchKind, SearchResult } from '../api/types';
import { Icon } from '../components/Icon';
import { t } from '../i18n';
import { groupByKind, segments } from './suggestions';

export const LIST_ID = 'search-suggestions';
export const optionId = (index: number): string => `${LIST_ID}-${index}`;

export type Option = { type: 'recent' | 'meant'; text: string } | { type: 'result'; result: SearchResult };

interface Props {
  options: readonly Option[];
  /** The option that the keyboard is on; -1 for none. */
  active: number;
  onChoose: (option: Option) => void;
  onForget: () => void;
}

export function SuggestionList({ options, active, onChoose, onForget }: Props) {
  const numbered = new Map(options.map((option, index) => [option, index]));
  const item = (option: Option, children: ComponentChildren) => {
    const index = numbered.get(option) ?? -1;
    return (
      // biome-ignore lint/a11y/useKeyWithClickEvents: the field has the focus and handles the keys
      <div
        key={index}
        class="search-option"
        role="option"
        tabIndex={-1}
        id={optionId(index)}
        aria-selected={index === active}
        data-testid={`search-${option.type}`}
        // The field keeps the focus: an input method would end its syllable.
        onPointerDown={(event) => event.preventDefault()}
        onClick={() => onChoose(option)}
      >
        {children}
      </div>
    );
  };
  const texts = options.filter((option) => option.type !== 'result');
  const byResult = new Map(
    options.flatMap((option) => (option.type === 'result' ? [[option.result, option]] : [])),
  );
  const recent = texts.some(({ type }) => type === 'recent');
  return (
    <div
      class="search-list"
      id={LIST_ID}
      role="listbox"
      aria-label={t('search.suggestions')}
      data-testid="search-list"
    >
      {recent && (
        <div class="search-group-title">
          <span>{t('search.recent')}</span>
          <button
            type="button"
            class="search-forget"
            tabIndex={-1}
            onPointerDown={(event) => event.preventDefault()}
            onClick={onForget}
          >
            {t('search.forget')}
          </button>
        </div>
      )}
      {texts.map((option) =>
        item(
          option,
          <>
            <Icon name="search" size={16} />
            <span>
              {option.type === 'meant' ? t('search.didYouMean', { text: option.text }) : option.text}
            </span>
          </>,
        ),
      )}
      {groupByKind([...byResult.keys()]).map(({ kind, items }) => (
        // biome-ignore lint/a11y/useSemanticElements: a group of options in a listbox
        <div key={kind} role="group" aria-label={kindText(kind)}>
          <div class="search-group-title" aria-hidden="true">
            {kindText(kind)}
          </div>
          {items.map((result) => {
            const option = byResult.get(result);
            return option && item(option, <Highlighted result={result} />);
          })}
        </div>
      ))}
    </div>
  );
}

function Highlighted({ result }: { result: SearchResult }) {
  return (
    <span>
      {segments(result.title, result.spans).map(({ text, matches }, index) =>
        matches ? <mark key={index}>{text}</mark> : text,
      )}
    </span>
  );
}

function kindText(kind: SearchKind): string {
  return t(`search.kind.${kind}`);
}
