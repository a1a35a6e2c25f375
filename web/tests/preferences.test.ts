import { describe, expect, it } from 'vitest';
import { parsePreferences } from '../src/player/preferences';

describe('parsePreferences', () => {
  it('reads what was kept', () => {
    const kept = { volume: 0.35, muted: true, speed: 1.5 };
    expect(parsePreferences(JSON.stringify(kept))).toEqual(kept);
  });

  it.each([null, '', 'no JSON', 'null', '[]', '7', '{"volume":"loud","muted":1,"speed":null}'])(
    'takes nothing from %s',
    (kept) => {
      expect(parsePreferences(kept)).toEqual({});
    },
  );

  it('leaves out what no player takes', () => {
    expect(parsePreferences('{"volume":1.5,"muted":false,"speed":0}')).toEqual({ muted: false });
  });
});
