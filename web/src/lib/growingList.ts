import { useRef } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import type { Page } from '../api/types';
import { type Loaded, useLoad } from './hooks';

/** How many pages an address may ask for at once. */
export const MAX_PAGES = 40;

/** `?pages=3` → 3; 1 for anything else that makes no sense. */
export function parsePages(text: string | undefined): number {
  if (!text || !/^\d{1,4}$/.test(text)) return 1;
  return Math.min(MAX_PAGES, Math.max(1, Number(text)));
}

/** Joins pages; a line that was added between two loads shifts the list, so that a page may repeat one. */
export function joinPages<Item>(pages: readonly Page<Item>[], keyOf: (item: Item) => string): Item[] {
  return [...new Map(pages.flatMap(({ items }) => items).map((item) => [keyOf(item), item])).values()];
}

export interface GrowingList<Item, List extends Page<Item>> {
  state: Loaded<readonly List[]>;
  /** Undefined until the first load. */
  items: Item[] | undefined;
  total: number;
  hasMore: boolean;
  isLoading: boolean;
  /** Shows another page; the address keeps how many there are, so that Back and a reload show them again. */
  showMore: () => void;
  reload: () => void;
}

/** A list that shows its first pages, as many as `?pages=` in the address. A page is loaded once, until `reload`. */
export function useGrowingList<Item, List extends Page<Item>>(
  load: (page: number, signal: AbortSignal) => Promise<List>,
  keyOf: (item: Item) => string,
): GrowingList<Item, List> {
  const { query, path, route } = useLocation();
  const count = parsePages(query.pages);
  const known = useRef(new Map<number, List>());
  const [state, loadAgain] = useLoad(
    async (signal) => {
      const numbers = Array.from({ length: count }, (_, index) => index + 1);
      return Promise.all(
        numbers.map(async (number) => {
          const page = known.current.get(number) ?? (await load(number, signal));
          known.current.set(number, page);
          return page;
        }),
      );
    },
    [count],
  );
  const items = state.data && joinPages<Item>(state.data, keyOf);
  const total = state.data?.[0]?.total ?? 0;
  const last = state.data?.at(-1);
  return {
    state,
    items,
    total,
    hasMore: last !== undefined && last.page * last.page_size < total && count < MAX_PAGES,
    isLoading: state.phase === 'loading',
    showMore: () => route(`${path}?pages=${count + 1}`, true),
    reload: () => {
      known.current.clear();
      loadAgain();
    },
  };
}
