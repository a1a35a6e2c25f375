import { useLocation } from 'preact-iso';

/** What the address may say about a list: a default each, or the allowed values, the default first. */
export type ListShape = Readonly<Record<string, string | readonly string[]>>;

export type ListState<Shape extends ListShape> = { [Name in keyof Shape]: string };

const fallbackOf = (allowed: string | readonly string[]): string =>
  typeof allowed === 'string' ? allowed : (allowed[0] ?? '');

/** Reads the state of a list from the query of an address; what is absent or not allowed gets its default. */
export function readList<Shape extends ListShape>(
  query: Readonly<Record<string, string>>,
  shape: Shape,
): ListState<Shape> {
  const entries = Object.entries(shape).map(([name, allowed]) => {
    const given = Object.hasOwn(query, name) ? query[name] : undefined;
    const isAllowed = given !== undefined && (typeof allowed === 'string' || allowed.includes(given));
    return [name, isAllowed ? given : fallbackOf(allowed)];
  });
  return Object.fromEntries(entries) as ListState<Shape>;
}

/** Returns the address of a list in a state. Defaults are left out, so that one state has one address. */
export function listHref<Shape extends ListShape>(
  path: string,
  state: ListState<Shape>,
  shape: Shape,
): string {
  const search = new URLSearchParams();
  for (const [name, allowed] of Object.entries(shape)) {
    const value = state[name]?.trim() ?? '';
    if (value !== fallbackOf(allowed)) search.set(name, value);
  }
  return search.size > 0 ? `${path}?${search}` : path;
}

/** Returns the number of a page, from 1. */
export const pageNumber = (text: string): number => Math.max(1, Number.parseInt(text, 10) || 1);

/** Returns the start of a day, or of the day after it, in the viewer's time zone, as ISO 8601; '' for no date. */
export function startOfDay(date: string, daysLater = 0): string {
  const parts = /^(\d{4})-(\d{2})-(\d{2})$/.exec(date);
  if (!parts) return '';
  const [, year, month, day] = parts.map(Number) as [number, number, number, number];
  return new Date(year, month - 1, day + daysLater).toISOString();
}

/**
 * Returns the day of a moment in the viewer's time zone, for a date field; '' for no moment. `offsetMs` names the day of a
 * moment that much later: the last day of what ends at midnight is that of a moment before.
 */
export function dayOf(iso: string | null, offsetMs = 0): string {
  if (iso === null) return '';
  const date = new Date(new Date(iso).getTime() + offsetMs);
  if (Number.isNaN(date.getTime())) return '';
  const two = (value: number) => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

const FIRST_PAGE = { page: '1', cursor: '' };

/** The state of the list at `path`, kept in the address so that Back, reload and a shared link work. */
export function useListState<Shape extends ListShape>(path: string, shape: Shape) {
  const { query, route } = useLocation();
  const state = readList(query, shape);
  /** A change of anything but the page leads to the first page. */
  const href = (change: Partial<ListState<Shape>>) =>
    listHref(path, { ...state, ...FIRST_PAGE, ...change } as ListState<Shape>, shape);
  return { state, href, show: (change: Partial<ListState<Shape>>) => route(href(change)) };
}
