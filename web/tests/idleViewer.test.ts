import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { watchForIdleViewer } from '../src/player/idleViewer';

const HOUR = 3_600_000;

class Film extends EventTarget {
  paused = false;
  pause() {
    this.paused = true;
    this.dispatchEvent(new Event('pause'));
  }
}

describe('watchForIdleViewer', () => {
  let page: EventTarget;
  let film: Film;
  let clock = 0;
  let asked = 0;
  let end: () => void;

  beforeEach(() => {
    page = new EventTarget();
    vi.stubGlobal('document', page);
    film = new Film();
    clock = performance.now();
    asked = 0;
    end = watchForIdleViewer(
      film as unknown as HTMLVideoElement,
      () => {
        asked += 1;
      },
      () => clock,
    );
    page.dispatchEvent(new Event('keydown'));
  });
  afterEach(() => {
    end();
    vi.unstubAllGlobals();
  });

  const playFor = (hours: number) => {
    clock += hours * HOUR;
    film.dispatchEvent(new Event('timeupdate'));
  };

  it('asks after three hours without a sign, and pauses', () => {
    playFor(2.9);
    expect([asked, film.paused]).toEqual([0, false]);
    playFor(0.2);
    expect([asked, film.paused]).toEqual([1, true]);
  });

  it('takes a movement, a key and a pause as signs', () => {
    for (const type of ['pointermove', 'keydown', 'touchstart']) {
      playFor(2);
      page.dispatchEvent(new Event(type));
    }
    playFor(2);
    film.dispatchEvent(new Event('pause'));
    playFor(2);
    expect(asked).toBe(0);
  });

  it('says nothing of a film that is paused, or after its end', () => {
    film.paused = true;
    playFor(4);
    film.paused = false;
    end();
    playFor(4);
    expect(asked).toBe(0);
  });
});
