import { describe, expect, it } from 'vitest';
import { dayOf, listHref, pageNumber, readList, startOfDay } from '../src/lib/listState';

const SHAPE = {
  query: '',
  status: ['', 'ready', 'failed'],
  sort: ['-created_at', 'title'],
  page: '1',
} as const;
const DEFAULTS = { query: '', status: '', sort: '-created_at', page: '1' };

describe('the state of a list in its address', () => {
  it('has its defaults when the address says nothing', () => {
    expect(readList({}, SHAPE)).toEqual(DEFAULTS);
  });

  it('takes what the address says', () => {
    const query = { query: 'night', status: 'failed', sort: 'title', page: '3', other: 'x' };
    expect(readList(query, SHAPE)).toEqual({ query: 'night', status: 'failed', sort: 'title', page: '3' });
  });

  it('ignores values that are not allowed', () => {
    expect(readList({ status: 'on_fire', sort: 'size' }, SHAPE)).toEqual(DEFAULTS);
  });

  it('does not take properties of objects for parameters', () => {
    expect(readList({}, { toString: '' })).toEqual({ toString: '' });
  });

  it('leaves defaults out of the address', () => {
    expect(listHref('/admin/contents', DEFAULTS, SHAPE)).toBe('/admin/contents');
    expect(listHref('/admin/contents', { ...DEFAULTS, query: ' a&b ', page: '2' }, SHAPE)).toBe(
      '/admin/contents?query=a%26b&page=2',
    );
  });

  it('comes back from the address that it makes', () => {
    const state = { query: '밤 & 낮', status: 'ready', sort: 'title', page: '4' };
    const search = new URL(listHref('/x', state, SHAPE), 'http://localhost').searchParams;
    expect(readList(Object.fromEntries(search), SHAPE)).toEqual(state);
  });

  it('numbers pages from 1', () => {
    expect(['3', '0', '-2', 'x', ''].map(pageNumber)).toEqual([3, 1, 1, 1, 1]);
  });
});

describe('days', () => {
  it('begin at midnight of the viewer', () => {
    expect(new Date(startOfDay('2026-02-28')).getTime()).toBe(new Date(2026, 1, 28).getTime());
    expect(new Date(startOfDay('2026-02-28', 1)).getTime()).toBe(new Date(2026, 2, 1).getTime());
  });

  it('are nothing without a date', () => {
    expect(startOfDay('')).toBe('');
    expect(startOfDay('yesterday')).toBe('');
    expect(dayOf(null)).toBe('');
    expect(dayOf('never')).toBe('');
  });

  it('are named by their last moment when something ends at midnight', () => {
    const end = startOfDay('2026-12-31', 1);
    expect(dayOf(end)).toBe('2027-01-01');
    expect(dayOf(end, -1)).toBe('2026-12-31');
  });
});
