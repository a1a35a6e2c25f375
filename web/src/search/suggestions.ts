import type { SearchKind, SearchResult } from '../api/types';
import { storage } from '../lib/storage';

export interface Segment {
  text: string;
  matches: boolean;
}

/** Splits a title into what matches and what doesn't. The API counts characters (code points) of the NFC form. */
export function segments(title: string, spans: readonly (readonly [number, number])[]): Segment[] {
  const characters = Array.from(title.normalize('NFC'));
  const parts: Segment[] = [];
  let at = 0;
  const add = (end: number, matches: boolean) => {
    const text = characters.slice(at, end).join('');
    if (text) parts.push({ text, matches });
    at = Math.max(at, end);
  };
  for (const [begin, end] of spans) {
    add(begin, false);
    add(end, true);
  }
  add(characters.length, false);
  return parts;
}

/** Groups results by kind; kinds and results keep the order in which they were found. */
export function groupByKind(items: readonly SearchResult[]): { kind: SearchKind; items: SearchResult[] }[] {
  const groups = new Map<SearchKind, SearchResult[]>();
  for (const item of items) {
    const group = groups.get(item.kind);
    if (group) group.push(item);
    else groups.set(item.kind, [item]);
  }
  return [...groups].map(([kind, members]) => ({ kind, items: members }));
}

/** Where a result leads: a part of a film to its moment. */
export function addressOf({ video, position_sec }: SearchResult): string {
  const path = `/watch/${encodeURIComponent(video.id)}`;
  return position_sec === undefined ? path : `${path}?t=${Math.floor(position_sec)}`;
}

export const addressOfSearch = (text: string): string => `/?query=${encodeURIComponent(text)}`;

/** The next option; -1 is the text field itself. */
export function moved(active: number, by: 1 | -1, count: number): number {
  const places = count + 1;
  return ((active + 1 + by + places) % places) - 1;
}

const RECENT_KEY = 'marquee.recentSearches';
const MAX_RECENT = 8;

/** Searches of this browser, the last one first; the server keeps none. */
export function recentSearches(): string[] {
  try {
    const stored: unknown = JSON.parse(storage.get(RECENT_KEY) ?? '[]');
    return Array.isArray(stored)
      ? stored.filter((each) => typeof each === 'string').slice(0, MAX_RECENT)
      : [];
  } catch {
    return [];
  }
}

export function rememberSearch(text: string): void {
  const others = recentSearches().filter((each) => each !== text);
  storage.set(RECENT_KEY, JSON.stringify([text, ...others].slice(0, MAX_RECENT)));
}

export function forgetSearches(): void {
  storage.set(RECENT_KEY, '[]');
}
