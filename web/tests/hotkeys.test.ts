import { describe, expect, it } from 'vitest';
import { commandFor, KEYS, nextSpeed } from '../src/player/hotkeys';

const press = (key: string, more = {}) => ({ key, altKey: false, ctrlKey: false, metaKey: false, ...more });

describe('commandFor', () => {
  it.each([
    [' ', { type: 'toggle-play' }],
    ['f', { type: 'toggle-fullscreen' }],
    ['M', { type: 'toggle-mute' }],
    ['p', { type: 'toggle-pip' }],
    ['<', { type: 'speed', by: -1 }],
    ['>', { type: 'speed', by: 1 }],
    ['ArrowLeft', { type: 'seek', by: -10 }],
    ['ArrowRight', { type: 'seek', by: 10 }],
    ['j', { type: 'seek', by: -10 }],
    ['L', { type: 'seek', by: 10 }],
    ['i', { type: 'toggle-pip' }],
    ['c', { type: 'toggle-captions' }],
    ['t', { type: 'toggle-theatre' }],
    ['?', { type: 'show-keys' }],
    [',', { type: 'step', by: -1 }],
    ['.', { type: 'step', by: 1 }],
    ['0', { type: 'go-to', part: 0 }],
    ['7', { type: 'go-to', part: 0.7 }],
    ['Home', { type: 'go-to', part: 0 }],
    ['End', { type: 'go-to', part: 1 }],
  ])('%s', (key, command) => {
    expect(commandFor(press(key))).toEqual(command);
  });

  it('knows a letter by its place when an input method writes Hangul', () => {
    expect(commandFor(press('ㅔ', { code: 'KeyP' }))).toEqual({ type: 'toggle-pip' });
    expect(commandFor(press('Process', { code: 'KeyM' }))).toEqual({ type: 'toggle-mute' });
    // On other Latin keyboards the letter counts, wherever it is.
    expect(commandFor(press('a', { code: 'KeyF' }))).toBeNull();
  });

  it('has each key that the list shows, and shows each command', () => {
    const named: Record<string, string> = {
      Space: ' ',
      '←': 'ArrowLeft',
      '→': 'ArrowRight',
      '↑': 'ArrowUp',
      '↓': 'ArrowDown',
    };
    const shown = KEYS.flatMap(([keys]) => keys.filter((key) => key !== '…'));
    const types = shown.map((key) => commandFor(press(named[key] ?? key))?.type);
    expect(types).not.toContain(undefined);
    expect(new Set(types).size).toBe(12);
  });

  it('leaves the browser its own shortcuts', () => {
    expect(commandFor(press('f', { ctrlKey: true }))).toBeNull();
    expect(commandFor(press('ArrowLeft', { altKey: true }))).toBeNull();
    expect(commandFor(press('x'))).toBeNull();
  });
});

describe('nextSpeed', () => {
  it('goes from step to step and stays at the ends', () => {
    expect([nextSpeed(1, 1), nextSpeed(1, -1), nextSpeed(2, 1), nextSpeed(0.5, -1)]).toEqual([
      1.25, 0.75, 2, 0.5,
    ]);
    expect([nextSpeed(1.1, 1), nextSpeed(1.1, -1)]).toEqual([1.25, 1]);
  });
});
