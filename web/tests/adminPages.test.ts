import { afterEach, describe, expect, it } from 'vitest';
import { addressOf, type Content, viewsCsvAddress } from '../src/api/admin';
import { ApiError } from '../src/api/errors';
import { setLanguage } from '../src/i18n';
import { adminCodeText, adviceText, codesOf, en, ko } from '../src/i18n/admin';
import { detailsText } from '../src/pages/admin/AuditPage';
import { editOf, formOf, tagsOf } from '../src/pages/admin/contentEdit';
import { fieldProblems } from '../src/pages/admin/forms';
import { countsText } from '../src/pages/admin/ImportsPage';
import { totalText } from '../src/pages/admin/parts';

afterEach(() => setLanguage('en'));

const placeholders = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();

describe('dictionaries of the administration', () => {
  it('have the same keys', () => {
    expect(Object.keys(ko).sort()).toEqual(Object.keys(en).sort());
  });

  it.each(Object.keys(en) as (keyof typeof en)[])('%s has the same parameters and is not empty', (key) => {
    expect(placeholders(ko[key])).toEqual(placeholders(en[key]));
    expect(ko[key].trim()).not.toBe('');
    expect(en[key].trim()).not.toBe('');
  });

  it('name codes in the language, and leave unknown ones unchanged', () => {
    setLanguage('ko');
    expect(adminCodeText('outcome', 'added')).toBe('추가');
    expect(adminCodeText('outcome', 'teleported')).toBe('teleported');
    expect(codesOf('plan')).toEqual(['free', 'paid']);
    expect(adviceText('AUTH_FORBIDDEN')).toBe('');
  });
});

describe('addresses of lists', () => {
  it('leave out what is empty', () => {
    expect(addressOf('/api/videos', { query: '', status: undefined, page: 2 })).toBe('/api/videos?page=2');
    expect(addressOf('/api/videos', {})).toBe('/api/videos');
  });

  it('name a cursor instead of the page', () => {
    expect(addressOf('/api/videos', { page: 3, cursor: 'c/=' })).toBe('/api/videos?cursor=c%2F%3D');
    expect(addressOf('/api/videos', { page: 3, cursor: '' })).toBe('/api/videos?page=3');
  });

  it('ask for a file with the same filters and without pages', () => {
    expect(viewsCsvAddress({ user_id: 'u', from: '2026-01-01T00:00:00.000Z', page: 4, cursor: 'c' })).toBe(
      '/api/admin/views?format=csv&user_id=u&from=2026-01-01T00%3A00%3A00.000Z',
    );
  });
});

const CONTENT = {
  title: 'The night mail',
  description: 'Trains',
  tags: ['documentary', 'a, b'],
  corporation_id: 'c1',
  series_id: 's1',
  season: 1,
  episode: null,
} as unknown as Content;

describe('the form of a video', () => {
  it('changes nothing when it is left as it was', () => {
    expect(editOf(CONTENT, formOf(CONTENT))).toEqual({});
  });

  it('names only what it changes', () => {
    const form = { ...formOf(CONTENT), title: ' Night mail ', episode: '4', season: '' };
    expect(editOf(CONTENT, form)).toEqual({ title: 'Night mail', season: null, episode: 4 });
  });

  it('takes a video out of its series and its corporation', () => {
    const form = { ...formOf(CONTENT), series: '', corporation: '', season: '7' };
    expect(editOf(CONTENT, form)).toEqual({ series_id: null, corporation_id: null });
  });

  it('parts tags at commas of any keyboard', () => {
    expect(tagsOf(' a, b，기차、a ,, ')).toEqual(['a', 'b', '기차']);
  });
});

describe('how many a list has', () => {
  it('is said as far as the server counts', () => {
    expect(totalText(undefined)).toBe('');
    expect(totalText({ total: 9_999, next_cursor: 'c' })).toBe('9,999');
    expect(totalText({ total: 10_000, next_cursor: null })).toBe('10,000+');
    expect(totalText({ total: 12_345 })).toBe('12,345');
  });
});

describe('what is said of actions and errors', () => {
  it('puts details on one line', () => {
    expect(detailsText({ changed: ['title', 'tags'], count: 2, more: { a: 1 } })).toBe(
      'changed: title, tags · count: 2 · more: {"a":1}',
    );
    expect(detailsText({})).toBe('–');
  });

  it('counts outcomes that happened', () => {
    expect(countsText({ counts: { added: 3, failed: 0, odd: 1 } })).toBe('added 3 · odd 1');
    expect(countsText({ counts: {} })).toBe('–');
  });

  it('names the fields that an error is about', () => {
    const details = {
      fields: [{ field: 'location', problem: 'is not allowed' }, { problem: 'odd' }, null, 3],
    };
    const error = new ApiError(422, 'VALIDATION_FAILED', '', details);
    expect(fieldProblems(error)).toEqual(['location: is not allowed', 'odd']);
    expect(fieldProblems(new ApiError(422, 'VALIDATION_FAILED', ''))).toEqual([]);
  });
});
