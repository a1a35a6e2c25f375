import { describe, expect, it } from 'vitest';
import { awaitsPicture, placeholderOf, sourceSet } from '../src/lib/pictures';

describe('sourceSet', () => {
  it('lists posters by width', () => {
    const posters = [
      { width: 320, url: '/api/videos/a/poster?v=1&width=320' },
      { width: 640, url: '/api/videos/a/poster?v=1&width=640' },
    ];
    expect(sourceSet(posters)).toBe(
      '/api/videos/a/poster?v=1&width=320 320w, /api/videos/a/poster?v=1&width=640 640w',
    );
  });

  it('is left out without posters', () => {
    expect(sourceSet([])).toBeUndefined();
    expect(sourceSet(undefined)).toBeUndefined();
  });
});

describe('placeholderOf', () => {
  it('reads what thumbnailer makes', () => {
    expect(placeholderOf('H/gJrIxwhn14d3d4eIePd/eHdg==')).toMatch(/^data:image\/png;base64,/);
  });

  it('survives what is none', () => {
    expect(placeholderOf('not base 64!')).toBeUndefined();
    expect(placeholderOf(null)).toBeUndefined();
  });
});

describe('awaitsPicture', () => {
  const film = { status: 'ready' as const, thumbnail_url: null, created_at: '2026-01-01T00:00:00Z' };
  const then = Date.parse(film.created_at);

  it('waits for a while after a film can be watched', () => {
    expect(awaitsPicture(film, then + 1000)).toBe(true);
    expect(awaitsPicture(film, then + 3_600_000)).toBe(false);
    expect(awaitsPicture({ ...film, thumbnail_url: '/x' }, then + 1000)).toBe(false);
    expect(awaitsPicture({ ...film, status: 'failed' }, then + 1000)).toBe(false);
  });
});
