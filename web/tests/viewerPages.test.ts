import { describe, expect, it } from 'vitest';
import type { Bookmark } from '../src/api/me';
import { messages } from '../src/i18n/viewer';
import { withBookmark } from '../src/lib/bookmarks';
import { byDay, formatDay } from '../src/lib/days';
import { nameOfAgent } from '../src/lib/deviceName';
import { formatSigned } from '../src/lib/format';
import { joinPages, parsePages } from '../src/lib/growingList';
import { pickTheme } from '../src/lib/theme';
import { audioText, subtitleText } from '../src/lib/tracks';

const placeholders = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();

describe('texts of the viewer’s pages', () => {
  it('are in both languages, with the same parameters', () => {
    expect(Object.keys(messages.ko)).toEqual(Object.keys(messages.en));
    for (const key of Object.keys(messages.en) as (keyof typeof messages.en)[]) {
      expect(placeholders(messages.ko[key]), key).toEqual(placeholders(messages.en[key]));
      expect(messages.ko[key].trim(), key).not.toBe('');
    }
  });
});

describe('a list that grows', () => {
  it('shows as many pages as its address says, and one where that makes no sense', () => {
    expect(parsePages('3')).toBe(3);
    for (const text of [undefined, '', '0', '-2', '1.5', 'x', '99999']) expect(parsePages(text)).toBe(1);
    expect(parsePages('9999')).toBe(40);
  });

  it('shows a line once that two pages have', () => {
    const pages = [
      { items: [{ id: 'a' }, { id: 'b' }], page: 1, page_size: 2, total: 3 },
      { items: [{ id: 'b' }, { id: 'c' }], page: 2, page_size: 2, total: 3 },
    ];
    expect(joinPages(pages, ({ id }) => id).map(({ id }) => id)).toEqual(['a', 'b', 'c']);
  });
});

describe('days', () => {
  const now = new Date(2026, 10, 30, 0, 30);
  const at = (day: number, hour: number) => new Date(2026, 10, day, hour).toISOString();

  it('are named where the viewer is, by the calendar and not by hours', () => {
    expect(formatDay(at(30, 0), 'en', now)).toBe('Today');
    expect(formatDay(at(29, 23), 'en', now)).toBe('Yesterday');
    expect(formatDay(at(29, 1), 'ko', now)).toBe('어제');
    expect(formatDay(at(28, 23), 'en', now)).toBe('November 28, 2026');
    expect(formatDay('nonsense', 'en', now)).toBe('');
  });

  it('group a list without changing its order', () => {
    const items = [at(30, 0), at(29, 23), at(29, 1), at(2, 5)];
    const groups = byDay(items, (item) => item, 'en', now);
    expect(groups.map(({ day, items: own }) => [day, own.length])).toEqual([
      ['Today', 1],
      ['Yesterday', 2],
      ['November 2, 2026', 1],
    ]);
    expect(groups.flatMap(({ items: own }) => own)).toEqual(items);
  });
});

describe('bookmarks of a film', () => {
  const mark = (id: string, position_sec: number, note = ''): Bookmark => ({
    id,
    position_sec,
    note,
    video_id: 'v',
    created_at: '2026-11-30T00:00:00Z',
    video: null,
  });

  it('stay in the order of the film', () => {
    const marks = withBookmark([mark('a', 10), mark('c', 30)], mark('b', 20));
    expect(marks.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
  });

  it('are replaced by their newer state', () => {
    expect(withBookmark([mark('a', 10)], mark('a', 10, 'here'))).toEqual([mark('a', 10, 'here')]);
  });
});

describe('the program of a login', () => {
  it('is a browser on its system, or the name that it gives itself', () => {
    const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
    expect(nameOfAgent(firefox)).toContain('Firefox');
    expect(nameOfAgent(firefox)).toContain('Linux');
    expect(nameOfAgent('curl/8.9.1')).toBe('curl');
    expect(nameOfAgent('python-httpx/0.28 (test)')).toBe('python-httpx');
    expect(nameOfAgent('  ')).not.toBe('');
  });
});

it('shows the sign of a change of points', () => {
  expect(formatSigned(1200, 'en')).toBe('+1,200');
  expect(formatSigned(-3, 'ko')).toBe('-3');
});

it('is dark unless another theme was chosen', () => {
  expect(pickTheme('light')).toBe('light');
  expect(pickTheme('system')).toBe('system');
  expect(pickTheme(null)).toBe('dark');
  expect(pickTheme('pink')).toBe('dark');
});

describe('tracks of a film', () => {
  it('say what is known of the sound', () => {
    const track = { codec: 'aac', title: '', language: 'en', channels: 2 };
    expect(audioText(track, 'en')).toBe('English (stereo)');
    expect(audioText({ ...track, title: 'Commentary', channels: 6 }, 'en')).toBe(
      'English: Commentary (6 channels)',
    );
    expect(audioText({ ...track, language: 'und', channels: 0 }, 'en')).toBe('Unknown language');
    expect(audioText({ ...track, language: 'no language at all' }, 'en')).toContain('no language at all');
  });

  it('mark forced subtitles and those for the deaf', () => {
    const track = { track: 'ko', language: 'ko', title: '', forced: true, sdh: true, url: '' };
    expect(subtitleText(track, 'en')).toBe('Korean (forced, for the deaf and hard of hearing)');
    expect(subtitleText({ ...track, forced: false, sdh: false }, 'en')).toBe('Korean');
  });
});
