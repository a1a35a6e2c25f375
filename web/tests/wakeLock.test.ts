import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { keepAwake } from '../src/player/wakeLock';

class Page extends EventTarget {
  hidden = false;
}

class Film extends EventTarget {
  paused = true;
}

describe('keepAwake', () => {
  let page: Page;
  let film: Film;
  let held = 0;
  let isRefused = false;
  let end: () => void;

  beforeEach(() => {
    page = new Page();
    film = new Film();
    held = 0;
    isRefused = false;
    vi.stubGlobal('document', page);
    vi.stubGlobal('navigator', {
      wakeLock: {
        request: async () => {
          if (isRefused) throw new DOMException('low battery', 'NotAllowedError');
          held += 1;
          return {
            release: async () => {
              held -= 1;
            },
          };
        },
      },
    });
    end = keepAwake(film as unknown as HTMLVideoElement);
  });
  afterEach(() => {
    end();
    vi.unstubAllGlobals();
  });

  const send = async (target: EventTarget, type: string) => {
    target.dispatchEvent(new Event(type));
    await new Promise((resolve) => setTimeout(resolve));
  };

  it('holds one lock while the film plays', async () => {
    film.paused = false;
    await send(film, 'playing');
    await send(film, 'playing');
    expect(held).toBe(1);
    film.paused = true;
    await send(film, 'pause');
    expect(held).toBe(0);
  });

  it('takes it again when the page is shown again', async () => {
    film.paused = false;
    await send(film, 'playing');
    page.hidden = true;
    await send(page, 'visibilitychange');
    expect(held).toBe(0);
    page.hidden = false;
    await send(page, 'visibilitychange');
    expect(held).toBe(1);
    end();
    await send(film, 'playing');
    expect(held).toBe(0);
  });

  it('bears a refusal', async () => {
    isRefused = true;
    film.paused = false;
    await send(film, 'playing');
    await send(film, 'pause');
    expect(held).toBe(0);
  });
});
