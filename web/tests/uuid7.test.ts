import { describe, expect, it } from 'vitest';
import { uuid7 } from '../src/lib/uuid7';

describe('uuid7', () => {
  it('has the form and version of RFC 9562', () => {
    expect(uuid7()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('carries the time in front', () => {
    expect(uuid7(0x0123456789ab, new Uint8Array(10))).toBe('01234567-89ab-7000-8000-000000000000');
  });

  it('sorts by time', () => {
    const high = new Uint8Array(10).fill(255);
    expect(uuid7(1_700_000_000_000, high) < uuid7(1_700_000_000_001, new Uint8Array(10))).toBe(true);
  });
});
