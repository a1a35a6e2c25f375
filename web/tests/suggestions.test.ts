import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { SearchResult } from '../src/api/types';
import {
  addressOf,
  forgetSearches,
  groupByKind,
  moved,
  recentSearches,
  rememberSearch,
  segments,
} from '../src/search/suggestions';

const result = (
  kind: SearchResult['kind'],
  title: string,
  more: Partial<SearchResult> = {},
): SearchResult => ({
  kind,
  title,
  spans: [],
  video: { id: `id of ${title}` } as SearchResult['video'],
  ...more,
});

describe('segments', () => {
  it('splits a title at its matches', () => {
    expect(segments('한글 영화', [[0, 2]])).toEqual([
      { text: '한글', matches: true },
      { text: ' 영화', matches: false },
    ]);
  });

  it('counts code points of the composed form', () => {
    expect(segments('🎬 가'.normalize('NFD'), [[2, 3]])).toEqual([
      { text: '🎬 ', matches: false },
      { text: '가', matches: true },
    ]);
  });

  it('keeps a title without matches whole', () => {
    expect(segments('x', [])).toEqual([{ text: 'x', matches: false }]);
    expect(segments('', [])).toEqual([]);
  });
});

it('groups by kind in the order of the results', () => {
  const items = [result('video', 'a'), result('series', 'b'), result('video', 'c')];
  expect(
    groupByKind(items).map(({ kind, items: members }) => [kind, members.map(({ title }) => title)]),
  ).toEqual([
    ['video', ['a', 'c']],
    ['series', ['b']],
  ]);
});

it('leads to the moment of a part', () => {
  expect(addressOf(result('video', 'a'))).toBe('/watch/id%20of%20a');
  expect(addressOf(result('subtitle', 'a', { position_sec: 61.5 }))).toBe('/watch/id%20of%20a?t=61');
});

it('moves around through the options and the field', () => {
  expect([moved(-1, 1, 2), moved(0, 1, 2), moved(1, 1, 2)]).toEqual([0, 1, -1]);
  expect([moved(-1, -1, 2), moved(0, -1, 2), moved(-1, 1, 0)]).toEqual([1, -1, -1]);
});

describe('recent searches', () => {
  const stored = new Map<string, string>();
  beforeEach(() => {
    stored.clear();
    vi.stubGlobal('localStorage', {
      getItem: (key: string) => stored.get(key) ?? null,
      setItem: (key: string, value: string) => stored.set(key, value),
    });
  });

  it('keeps the last eight, each once, the last one first', () => {
    for (const text of ['a', 'b', 'a', ...'cdefghij']) rememberSearch(text);
    expect(recentSearches()).toEqual([...'jihgfedc']);
    rememberSearch('d');
    expect(recentSearches()).toEqual([...'djihgfec']);
    forgetSearches();
    expect(recentSearches()).toEqual([]);
  });

  it('ignores what it did not write', () => {
    for (const value of ['{', '{}', '[1, "x"]']) {
      stored.set('marquee.recentSearches', value);
      expect(recentSearches()).toEqual(value === '[1, "x"]' ? ['x'] : []);
    }
  });
});
