import { describe, expect, it } from 'vitest';
import { safeNext } from '../src/session/safeNext';

describe('safeNext', () => {
  it.each([
    ['/watch/1?t=2', '/watch/1?t=2'],
    [undefined, '/'],
    ['https://evil.example/', '/'],
    ['//evil.example/', '/'],
    ['/\\evil.example/', '/'],
    ['/login?next=/login', '/'],
  ])('%s → %s', (next, expected) => {
    expect(safeNext(next)).toBe(expected);
  });
});
