import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ListedHighlight } from '../src/api/discovery';
import { messages } from '../src/i18n/playing';
import {
  findNumber,
  numberItems,
  pagesAround,
  parsePlaylist,
  playlistLink,
  readFilter,
  wallLink,
} from '../src/lib/playlist';
import { parseRange } from '../src/lib/ranges';
import { atEndOfPart, pauseAt } from '../src/player/jump';

const highlight = (video: string, start: number) =>
  ({ id: `${video}-${start}`, start, end: start + 10, video: { id: video } }) as ListedHighlight;

const queryOf = (address: string) => Object.fromEntries(new URL(address, 'http://site').searchParams);

const placeholders = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();

it('has its texts in both languages, with the same parameters', () => {
  expect(Object.keys(messages.ko)).toEqual(Object.keys(messages.en));
  for (const key of Object.keys(messages.en) as (keyof typeof messages.en)[]) {
    expect(placeholders(messages.ko[key]), key).toEqual(placeholders(messages.en[key]));
    expect(messages.ko[key].trim(), key).not.toBe('');
  }
});

describe('the address of the wall', () => {
  it('says the filter and the order, and leaves out what is usual', () => {
    const filter = readFilter({ player: 'ann & bea', sort: '-created_at', page: '2' });
    expect(filter).toEqual({ category: '', player: 'ann & bea', sort: '-created_at', page: 2 });
    expect(readFilter(queryOf(wallLink(filter)))).toEqual(filter);
    expect(wallLink(readFilter({ sort: 'nonsense', page: '-1' }))).toBe('/highlights');
  });
});

describe('the address of a place in the playlist', () => {
  it('plays the part, and leads back to the same list', () => {
    const filter = readFilter({ category: 'bluff', sort: '-created_at' });
    const address = playlistLink(highlight('v1', 12.5), { filter, number: 26 });
    expect(address).toMatch(/^\/watch\/v1\?/);
    const query = queryOf(address);
    expect(parseRange(query)).toEqual({ from: 12.5, until: 22.5 });
    expect(parsePlaylist(query)).toEqual({ filter: { ...filter, page: 2 }, number: 26 });
  });

  it('is no such place without a number that makes sense', () => {
    for (const text of [undefined, '', '0', '-1', '1.5', 'x', '12345678']) {
      expect(parsePlaylist(text === undefined ? {} : { highlight: text })).toBeNull();
    }
  });
});

describe('the list around what plays', () => {
  it('is one page, or two where its neighbour is on another', () => {
    expect(pagesAround(1)).toEqual([1]);
    expect(pagesAround(5)).toEqual([1]);
    expect(pagesAround(24)).toEqual([1, 2]);
    expect(pagesAround(25)).toEqual([1, 2]);
    expect(pagesAround(26)).toEqual([2]);
  });

  it('is numbered over its pages', () => {
    const pages = [
      { items: ['c'], page: 2, page_size: 2, total: 3 },
      { items: ['a', 'b'], page: 1, page_size: 2, total: 3 },
    ];
    expect([...numberItems(pages)].sort()).toEqual([
      [1, 'a'],
      [2, 'b'],
      [3, 'c'],
    ]);
  });

  it('finds what plays when others came before it meanwhile', () => {
    const items = new Map([
      [1, highlight('new', 0)],
      [2, highlight('a', 10)],
      [3, highlight('a', 40)],
    ]);
    expect(findNumber(items, 2, 'a', 10)).toBe(2);
    expect(findNumber(items, 1, 'a', 10)).toBe(2);
    expect(findNumber(items, 2, 'a', 40)).toBe(3);
    expect(findNumber(items, 2, 'gone', 1)).toBe(2);
    expect(findNumber(new Map(), 7, 'a', 10)).toBe(7);
  });
});

class Film extends EventTarget {
  currentTime = 0;
  ended = false;
  paused = false;
  pause() {
    this.paused = true;
  }
  reach(seconds: number) {
    this.currentTime = seconds;
    this.dispatchEvent(new Event('timeupdate'));
  }
}

describe('the end of a part', () => {
  let film: Film;
  let stop: () => void;
  let leave: () => void = () => undefined;
  beforeEach(() => {
    film = new Film();
    stop = pauseAt(film as unknown as HTMLVideoElement, 20);
  });
  afterEach(() => {
    stop();
    leave();
    leave = () => undefined;
  });

  it('pauses the film, once', () => {
    film.reach(19.9);
    expect(film.paused).toBe(false);
    film.reach(20.1);
    expect(film.paused).toBe(true);
    film.paused = false;
    film.reach(20.4);
    expect(film.paused).toBe(false);
  });

  it('goes on to the next part instead, where there is one', () => {
    let asked = 0;
    leave = atEndOfPart(() => {
      asked += 1;
      return true;
    });
    film.reach(20.1);
    film.reach(20.3);
    expect([asked, film.paused]).toEqual([1, false]);
  });

  it('pauses after the last', () => {
    leave = atEndOfPart(() => false);
    film.reach(20.1);
    expect(film.paused).toBe(true);
  });

  it('is also the end of a film that is a moment shorter', () => {
    let asked = 0;
    leave = atEndOfPart(() => {
      asked += 1;
      return true;
    });
    film.currentTime = 19.7;
    film.ended = true;
    film.dispatchEvent(new Event('ended'));
    expect(asked).toBe(1);
  });

  it('does not go on for a viewer who has jumped far beyond', () => {
    let asked = 0;
    leave = atEndOfPart(() => {
      asked += 1;
      return true;
    });
    film.reach(300);
    expect([asked, film.paused]).toEqual([0, false]);
  });
});
