import type { ComponentChildren } from 'preact';
import { useEffect, useId, useState } from 'preact/hooks';
import { listCorporations, listNewestAccounts } from '../../api/admin';
import { ErrorMessage } from '../../components/ErrorMessage';
import { Icon } from '../../components/Icon';
import { PageHeading } from '../../components/PageHeading';
import { Pager } from '../../components/Pager';
import { language } from '../../i18n';
import { ta } from '../../i18n/admin';
import { type Loaded, useLoad, usePageTitle } from '../../lib/hooks';
import { pageNumber } from '../../lib/listState';

export const PAGE_SIZE = 25;

/** As far as lists that are read by cursor count. */
const MOST_COUNTED = 10_000;

/** Says how many a list has: "10,000+" where the server stops counting. */
export function totalText(list: { total: number; next_cursor?: string | null } | undefined): string {
  if (!list) return '';
  const isMore = list.next_cursor !== undefined && list.total >= MOST_COUNTED;
  return `${new Intl.NumberFormat(language.value).format(list.total)}${isMore ? '+' : ''}`;
}

interface HeadProps {
  title: string;
  count?: string;
  children?: ComponentChildren;
}

/** The heading of an administration page, with its actions. */
export function AdminHead({ title, count, children }: HeadProps) {
  usePageTitle(title);
  return (
    <div class="section-head admin-head">
      <PageHeading>{title}</PageHeading>
      {count && (
        <span class="count" data-testid="count">
          {count}
        </span>
      )}
      {children && <div class="section-actions">{children}</div>}
    </div>
  );
}

/** Says what a change did, also to screen readers. */
export function Notice({ text }: { text: string | null }) {
  return (
    <p class="approved" role="status" data-testid="notice">
      {text && (
        <>
          <Icon name="check" size={18} /> {text}
        </>
      )}
    </p>
  );
}

interface ListProps<Data> {
  loaded: Loaded<Data>;
  reload: () => void;
  isEmpty: boolean;
  /** Whether filters hide what there is. */
  isFiltered?: boolean;
  empty: string;
  children: ComponentChildren;
}

/** A list, or why there is none. */
export function ListStates<Data>({ loaded, reload, isEmpty, isFiltered, empty, children }: ListProps<Data>) {
  return (
    <>
      {loaded.phase === 'failed' && <ErrorMessage error={loaded.error} onRetry={reload} retries />}
      {loaded.data !== undefined && isEmpty ? (
        <p class="empty admin-empty" data-testid="empty">
          {isFiltered ? ta('list.noMatch') : empty}
        </p>
      ) : (
        !(loaded.phase === 'failed' && loaded.data === undefined) && children
      )}
    </>
  );
}

interface PagesProps {
  page: string;
  data: { total: number; page_size: number; items: unknown[]; next_cursor?: string | null } | undefined;
  href: (change: { page: string; cursor: string }) => string;
}

/** Links to the pages of a list in the address: forward by cursor where there is one, back by number. */
export function ListPages({ page, data, href }: PagesProps) {
  if (!data) return null;
  const number = pageNumber(page);
  const cursor = data.next_cursor ?? '';
  const hasNext = data.next_cursor === undefined ? number * data.page_size < data.total : cursor !== '';
  return (
    <Pager
      page={number}
      hasNext={hasNext}
      previousHref={href({ page: String(number - 1), cursor: '' })}
      nextHref={href({ page: String(number + 1), cursor })}
      texts={{
        label: ta('list.pages'),
        previous: ta('list.previous'),
        next: ta('list.next'),
        position: ta('list.page', { page: number }),
      }}
    />
  );
}

export interface FilterField {
  name: string;
  label: string;
  kind?: 'text' | 'date';
  /** What a select offers: values and texts. */
  options?: readonly (readonly [string, string])[];
  /** What a text field suggests. */
  suggestions?: readonly string[];
  narrowOnly?: boolean;
}

interface FilterProps {
  fields: readonly FilterField[];
  state: Readonly<Record<string, string>>;
  onChange: (change: Record<string, string>) => void;
}

/** Filters of a list. A choice counts at once, together with what was typed; a text alone when it is submitted. */
export function Filters({ fields, state, onChange }: FilterProps) {
  const [drafts, setDrafts] = useState(state);
  const id = useId();
  const address = JSON.stringify(state);
  // Back and links change the state from outside.
  useEffect(() => setDrafts(JSON.parse(address) as Record<string, string>), [address]);
  const texts = fields.filter(({ options }) => !options);
  const typed = Object.fromEntries(texts.map(({ name }) => [name, drafts[name]?.trim() ?? '']));
  const clearable = fields.filter(({ name }) => name !== 'sort');
  const isFiltered = clearable.some(({ name }) => state[name]);
  return (
    <search>
      <form
        class="filters admin-filters"
        data-testid="filters"
        onSubmit={(event) => {
          event.preventDefault();
          onChange(typed);
        }}
      >
        {fields.map((field) => (
          <div key={field.name} class={field.narrowOnly ? 'filter narrow-only' : 'filter'}>
            <label for={`${id}-${field.name}`}>{field.label}</label>
            <FilterControl
              field={field}
              id={`${id}-${field.name}`}
              value={(field.options ? state : drafts)[field.name] ?? ''}
              onInput={(value) => setDrafts({ ...drafts, [field.name]: value })}
              onChoose={(value) => onChange({ ...typed, [field.name]: value })}
            />
          </div>
        ))}
        {texts.length > 0 && (
          <button type="submit" class="button">
            {ta('list.filter')}
          </button>
        )}
        {isFiltered && (
          <button
            type="button"
            class="button button-quiet"
            data-testid="clear-filters"
            onClick={() => onChange(Object.fromEntries(clearable.map(({ name }) => [name, ''])))}
          >
            {ta('list.clear')}
          </button>
        )}
      </form>
    </search>
  );
}

interface ControlProps {
  field: FilterField;
  id: string;
  value: string;
  onInput: (value: string) => void;
  onChoose: (value: string) => void;
}

function FilterControl({ field, id, value, onInput, onChoose }: ControlProps) {
  const { name, kind = 'text', options, suggestions } = field;
  if (options) {
    return (
      <select id={id} name={name} value={value} onChange={(event) => onChoose(event.currentTarget.value)}>
        {options.map(([key, text]) => (
          <option key={key} value={key}>
            {text}
          </option>
        ))}
      </select>
    );
  }
  return (
    <>
      <input
        id={id}
        name={name}
        type={kind}
        value={value}
        maxLength={100}
        list={suggestions && `${id}-list`}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      {suggestions && (
        <datalist id={`${id}-list`}>
          {suggestions.map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
      )}
    </>
  );
}

/** The names of corporations by id, the first hundred; empty until they are loaded. */
export function useCorporations(): { id: string; name: string }[] {
  const [loaded] = useLoad((signal) => listCorporations('', 1, { signal }), []);
  return loaded.data?.items ?? [];
}

/** Names accounts by id, the newest hundred of them; others are named by the start of their id. */
export function useAccountNames(): (id: string | null) => string {
  const [loaded] = useLoad((signal) => listNewestAccounts({ signal }), []);
  const names = new Map(loaded.data?.items.map((user) => [user.id, user.login_id]));
  return (id) => (id === null ? '–' : (names.get(id) ?? shortId(id)));
}

/** The end of an id tells two apart: UUIDs of version 7 begin with the time. */
export const shortId = (id: string): string => (id.length > 12 ? `…${id.slice(-8)}` : id);
