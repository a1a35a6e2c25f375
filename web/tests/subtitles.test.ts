import { describe, expect, it } from 'vitest';
import { subtitlesLabel } from '../src/player/subtitles';

const track = { language: 'ko', title: '', forced: false, sdh: false };

describe('subtitlesLabel', () => {
  it('names the language in the language of the viewer', () => {
    expect(subtitlesLabel(track, 'ko')).toBe('한국어');
    expect(subtitlesLabel(track, 'en')).toBe('Korean');
  });

  it('prefers the title of the track', () => {
    expect(subtitlesLabel({ ...track, title: '감독의 말' }, 'en')).toBe('감독의 말');
  });

  it('marks tracks with a purpose', () => {
    expect(subtitlesLabel({ ...track, forced: true, sdh: true }, 'en')).toBe('Korean (forced, SDH)');
  });

  it('shows a tag that is none as it is', () => {
    expect(subtitlesLabel({ ...track, language: 'x!' }, 'en')).toBe('x!');
  });
});
