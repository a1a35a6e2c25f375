import { describe, expect, it } from 'vitest';
import { parseRange, rangeLink } from '../src/lib/ranges';
import { cardAfterKey } from '../src/lib/rowKeys';

describe('a range of a film in an address', () => {
  it('is read back from its link', () => {
    const query = Object.fromEntries(new URLSearchParams(rangeLink('a b', 1.5, 90).split('?')[1]));
    expect(parseRange(query)).toEqual({ from: 1.5, until: 90 });
    expect(rangeLink('a b', 0)).toBe('/watch/a%20b?t=0');
    expect(rangeLink('a', 20.123456789, 1e-9)).toBe('/watch/a?t=20.123&until=0');
  });

  it.each([{}, { t: '' }, { t: '-1' }, { t: '1e9' }, { t: 'NaN' }, { t: '12345678' }])(
    'is none where no sensible start is given: %o',
    (query) => {
      expect(parseRange(query as Record<string, string>)).toBeNull();
    },
  );

  it('plays on when the end is not after the start', () => {
    expect(parseRange({ t: '10', until: '10' })).toEqual({ from: 10, until: null });
    expect(parseRange({ t: '10', until: 'x' })).toEqual({ from: 10, until: null });
  });
});

describe('keys in a row of cards', () => {
  it('lead to the next card and to the ends', () => {
    expect(cardAfterKey('ArrowRight', 0, 3)).toBe(1);
    expect(cardAfterKey('ArrowLeft', 2, 3)).toBe(1);
    expect(cardAfterKey('End', 0, 3)).toBe(2);
    expect(cardAfterKey('Home', 2, 3)).toBe(0);
  });

  it('do nothing at the ends, and other keys never', () => {
    expect(cardAfterKey('ArrowRight', 2, 3)).toBeNull();
    expect(cardAfterKey('ArrowLeft', 0, 3)).toBeNull();
    expect(cardAfterKey('Home', 0, 3)).toBeNull();
    expect(cardAfterKey('a', 1, 3)).toBeNull();
  });
});
