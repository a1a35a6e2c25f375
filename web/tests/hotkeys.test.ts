import { describe, expect, it } from 'vitest';
import { commandFor } from '../src/player/hotkeys';

const press = (key: string, more = {}) => ({ key, altKey: false, ctrlKey: false, metaKey: false, ...more });

describe('commandFor', () => {
  it.each([
    [' ', { type: 'toggle-play' }],
    ['f', { type: 'toggle-fullscreen' }],
    ['M', { type: 'toggle-mute' }],
    ['ArrowLeft', { type: 'seek', by: -10 }],
    ['ArrowRight', { type: 'seek', by: 10 }],
  ])('%s', (key, command) => {
    expect(commandFor(press(key))).toEqual(command);
  });

  it('leaves the browser its own shortcuts', () => {
    expect(commandFor(press('f', { ctrlKey: true }))).toBeNull();
    expect(commandFor(press('ArrowLeft', { altKey: true }))).toBeNull();
    expect(commandFor(press('x'))).toBeNull();
  });
});
