import { HIGHLIGHTS_A_PAGE, type HighlightFilter, type ListedHighlight } from '../api/discovery';
import type { Page } from '../api/types';
import { type ListShape, listHref, pageNumber, readList } from './listState';
import { rangeLink } from './ranges';

const FILTER = { category: '', player: '', sort: ['-pot_size', '-created_at'] } as const satisfies ListShape;
const WALL = { ...FILTER, page: '1' } as const satisfies ListShape;

/** What the address of the wall of highlights asks for. */
export function readFilter(query: Readonly<Record<string, string>>): HighlightFilter {
  const { category, player, sort, page } = readList(query, WALL);
  return { category, player, sort: sort as HighlightFilter['sort'], page: pageNumber(page) };
}

export const wallLink = (filter: HighlightFilter): string =>
  listHref('/highlights', { ...filter, page: String(filter.page) }, WALL);

/** A place in the list of highlights that a filter and an order give. */
export interface PlaylistPlace {
  /** Its page is that of the place. */
  filter: HighlightFilter;
  /** From 1. */
  number: number;
}

/** `?highlight=2&player=ann` → the second of Ann's; null without a number that makes sense. */
export function parsePlaylist(query: Readonly<Record<string, string>>): PlaylistPlace | null {
  if (!/^[1-9]\d{0,6}$/.test(query.highlight ?? '')) return null;
  const number = Number(query.highlight);
  return { filter: { ...readFilter(query), page: pageOf(number) }, number };
}

/** The address that plays a highlight, and then those after it in the list. */
export function playlistLink(highlight: ListedHighlight, { filter, number }: PlaylistPlace): string {
  const range = rangeLink(highlight.video.id, highlight.start, highlight.end);
  const search = listHref('', { ...filter }, FILTER).slice(1);
  return `${range}&highlight=${number}${search && `&${search}`}`;
}

const pageOf = (number: number): number => Math.ceil(number / HIGHLIGHTS_A_PAGE);

/** Returns the pages of the list that hold an item and the ones before and after it. */
export function pagesAround(number: number): number[] {
  return [...new Set([number - 1, number, number + 1].map(pageOf))].filter((page) => page > 0);
}

/** Returns the items of some pages by their number in the list. */
export function numberItems<Item>(pages: readonly Page<Item>[]): Map<number, Item> {
  return new Map(
    pages.flatMap(({ items, page, page_size }) =>
      items.map((item, index) => [(page - 1) * page_size + index + 1, item] as const),
    ),
  );
}

/** Returns the number of the highlight that plays: the list may have changed since its address was made. */
export function findNumber(
  items: ReadonlyMap<number, ListedHighlight>,
  number: number,
  videoId: string,
  from: number | undefined,
): number {
  const plays = (item: ListedHighlight | undefined) =>
    item?.video.id === videoId && Math.abs(item.start - (from ?? 0)) < 0.001;
  if (plays(items.get(number))) return number;
  return [...items].find(([, item]) => plays(item))?.[0] ?? number;
}
