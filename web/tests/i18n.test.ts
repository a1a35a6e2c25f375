import { describe, expect, it } from 'vitest';
import { interpolate, pickLanguage } from '../src/i18n';
import { en } from '../src/i18n/en';
import { ko } from '../src/i18n/ko';

const placeholders = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();

describe('dictionaries', () => {
  it('have the same keys', () => {
    expect(Object.keys(ko).sort()).toEqual(Object.keys(en).sort());
  });

  it.each(Object.keys(en) as (keyof typeof en)[])('%s has the same parameters and is not empty', (key) => {
    expect(placeholders(ko[key])).toEqual(placeholders(en[key]));
    expect(ko[key].trim()).not.toBe('');
    expect(en[key].trim()).not.toBe('');
  });
});

describe('pickLanguage', () => {
  it('prefers what was chosen before', () => {
    expect(pickLanguage('en', ['ko-KR'])).toBe('en');
  });

  it('takes the first language it knows', () => {
    expect(pickLanguage(null, ['fr-FR', 'ko', 'en'])).toBe('ko');
    expect(pickLanguage(null, ['en-GB', 'ko'])).toBe('en');
  });

  it('falls back to English', () => {
    expect(pickLanguage(null, ['fr', 'kok'])).toBe('en');
    expect(pickLanguage('xx', [])).toBe('en');
  });
});

describe('interpolate', () => {
  it('fills in parameters and leaves unknown ones visible', () => {
    expect(interpolate('{a} of {b}', { a: 0 })).toBe('0 of {b}');
  });
});
