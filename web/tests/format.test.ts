import { describe, expect, it } from 'vitest';
import {
  formatBitrate,
  formatBytes,
  formatClock,
  formatDate,
  formatDuration,
  titleFromFileName,
} from '../src/lib/format';

describe('formatClock', () => {
  it.each([
    [0, '0:00'],
    [59.9, '0:59'],
    [754, '12:34'],
    [3661, '1:01:01'],
    [null, '–:––'],
    [Number.NaN, '–:––'],
    [Number.POSITIVE_INFINITY, '–:––'],
  ])('%s → %s', (seconds, text) => {
    expect(formatClock(seconds)).toBe(text);
  });
});

describe('formatDuration', () => {
  it('keeps seconds only where they matter', () => {
    expect(formatDuration(42, 'en')).toBe('42 sec');
    expect(formatDuration(125, 'en')).toBe('2 min 5 sec');
    expect(formatDuration(1205, 'en')).toBe('20 min');
    expect(formatDuration(3900, 'en')).toBe('1 hr 5 min');
    expect(formatDuration(3900, 'ko')).toBe('1시간 5분');
  });

  it('never shows a negative length', () => {
    expect(formatDuration(-3, 'en')).toBe('0 sec');
  });
});

describe('sizes and rates', () => {
  it('chooses a readable unit', () => {
    expect(formatBytes(0)).toBe('0 B');
    expect(formatBytes(1500)).toBe('1.5 KB');
    expect(formatBytes(999_000_000)).toBe('999 MB');
    expect(formatBytes(4_200_000_000)).toBe('4.2 GB');
    expect(formatBitrate(4_212_000)).toBe('4.2 Mbit/s');
    expect(formatBitrate(128_000)).toBe('128 kbit/s');
  });
});

describe('formatDate', () => {
  it('gives nothing for a broken date', () => {
    expect(formatDate('soon', 'en')).toBe('');
  });
});

describe('titleFromFileName', () => {
  it.each([
    ['holiday.mp4', 'holiday'],
    ['my_first.cut.v2.mkv', 'my first.cut.v2'],
    ['서울의 밤.mp4', '서울의 밤'],
    ['noextension', 'noextension'],
    ['.mp4', '.mp4'],
  ])('%s → %s', (name, title) => {
    expect(titleFromFileName(name)).toBe(title);
  });
});
