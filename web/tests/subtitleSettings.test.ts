import { afterEach, describe, expect, it } from 'vitest';
import { CUE_CHOICES, cueStyle, keepCueStyle, parseCueStyle, placeCues } from '../src/player/cueStyle';
import { findLines, readLines } from '../src/player/subtitleLines';
import stylesheet from '../src/styles/playing.css?raw';

const USUAL = { size: 'normal', color: 'white', background: 'shade', position: 'bottom' } as const;

const makeTrack = (kind: string, cues: object[] | null) => ({ kind, cues, mode: 'disabled' });

class FakeVideo extends EventTarget {
  attributes: Record<string, string> = {};
  constructor(readonly textTracks: object[]) {
    super();
  }
  setAttribute(name: string, value: string) {
    this.attributes[name] = value;
  }
}

afterEach(() => {
  cueStyle.value = USUAL;
});

describe('the look of subtitles', () => {
  it('is as it was stored, as far as that makes sense', () => {
    expect(parseCueStyle('{"size":"huge","position":"top"}')).toEqual({
      ...USUAL,
      size: 'huge',
      position: 'top',
    });
    for (const kept of [null, '', 'null', '3', '[]', '{"size":"enormous","color":1}']) {
      expect(parseCueStyle(kept)).toEqual(USUAL);
    }
  });

  it('is in the style sheet for each choice, for the film and for the example', () => {
    for (const property of ['size', 'color', 'background'] as const) {
      for (const choice of CUE_CHOICES[property].slice(1)) {
        const attribute = `[data-cue-${property}="${choice}"]`;
        expect(stylesheet).toContain(`${attribute}::cue,\n${attribute} > .cue-sample {`);
      }
    }
  });

  it('counts at once, and also for lines that are loaded later', () => {
    const later = { line: 'auto', snapToLines: true };
    const track = makeTrack('subtitles', null);
    const video = new FakeVideo([track]);
    const stop = keepCueStyle(video as unknown as HTMLVideoElement);
    expect(video.attributes['data-cue-size']).toBe('normal');
    cueStyle.value = { ...USUAL, size: 'large', position: 'top' };
    expect(video.attributes['data-cue-size']).toBe('large');
    track.cues = [later];
    video.dispatchEvent(new Event('load'));
    expect(later.line).toBe(0);
    stop();
    cueStyle.value = USUAL;
    expect(video.attributes['data-cue-size']).toBe('large');
  });
});

describe('the position of subtitles', () => {
  it('is the top, or again what their file says', () => {
    const usual = { line: 'auto', snapToLines: true };
    const placed = { line: 80, snapToLines: false };
    const chapter = { line: 'auto', snapToLines: true };
    const tracks = [
      makeTrack('captions', [usual, placed]),
      makeTrack('chapters', [chapter]),
    ] as unknown as TextTrack[];
    placeCues(tracks, 'top');
    expect([usual, placed]).toEqual([
      { line: 0, snapToLines: true },
      { line: 0, snapToLines: true },
    ]);
    expect(chapter.line).toBe('auto');
    placeCues(tracks, 'top');
    placeCues(tracks, 'bottom');
    expect([usual, placed]).toEqual([
      { line: 'auto', snapToLines: true },
      { line: 80, snapToLines: false },
    ]);
  });
});

describe('a search in the subtitles', () => {
  const lines = [
    { start: 1, text: 'The River\nis wide' },
    { start: 5, text: '강을 건너자' },
    { start: 9, text: 'Across the river!' },
  ];

  it('finds lines whatever their case, their breaks and the form of their letters', () => {
    expect(findLines(lines, ' RIVER ').map(({ start }) => start)).toEqual([1, 9]);
    expect(findLines(lines, 'river is').map(({ start }) => start)).toEqual([1]);
    expect(findLines(lines, '강을'.normalize('NFD')).map(({ start }) => start)).toEqual([5]);
    expect(findLines(lines, 'desert')).toEqual([]);
    expect(findLines(lines, '')).toEqual(lines);
  });

  class FakeTrackElement extends EventTarget {
    readyState = 0;
    track = makeTrack('subtitles', null);
    finish(readyState: number, cues: object[]) {
      this.readyState = readyState;
      this.track.cues = cues;
      this.dispatchEvent(new Event(readyState === 2 ? 'load' : 'error'));
    }
  }
  const cue = (startTime: number, text: string) => ({
    startTime,
    getCueAsHTML: () => ({ textContent: text }),
  });
  const read = (element: FakeTrackElement) => readLines(element as unknown as HTMLTrackElement);

  it('loads a track that is not shown, without showing it', async () => {
    const element = new FakeTrackElement();
    const reading = read(element);
    expect(element.track.mode).toBe('hidden');
    element.finish(2, [cue(3, ' Hello\nthere ')]);
    expect(await reading).toEqual([{ start: 3, text: 'Hello\nthere' }]);
  });

  it('takes the lines of a track that is shown', async () => {
    const element = new FakeTrackElement();
    element.track.mode = 'showing';
    element.finish(2, [cue(3, 'Hello')]);
    expect(await read(element)).toHaveLength(1);
    expect(element.track.mode).toBe('showing');
  });

  it('says so when they can’t be loaded', async () => {
    const element = new FakeTrackElement();
    const reading = read(element);
    element.finish(3, []);
    await expect(reading).rejects.toThrow();
  });
});
