import { describe, expect, it } from 'vitest';
import { stillShown, withToggled } from '../src/lib/selection';

const IDS = ['a', 'b', 'c', 'd', 'e'];
const sorted = (selected: Set<string>) => [...selected].sort();

describe('a selection of rows', () => {
  it('switches one row', () => {
    expect(sorted(withToggled(new Set(['a']), IDS, 'c', null))).toEqual(['a', 'c']);
    expect(sorted(withToggled(new Set(['a', 'c']), IDS, 'c', null))).toEqual(['a']);
  });

  it('extends from the anchor in both directions', () => {
    expect(sorted(withToggled(new Set(['b']), IDS, 'd', 'b'))).toEqual(['b', 'c', 'd']);
    expect(sorted(withToggled(new Set(['d']), IDS, 'b', 'd'))).toEqual(['b', 'c', 'd']);
  });

  it('gives a range the state of the row that was switched', () => {
    expect(sorted(withToggled(new Set(IDS), IDS, 'd', 'b'))).toEqual(['a', 'e']);
  });

  it('switches one row when the anchor is on another page', () => {
    expect(sorted(withToggled(new Set(), IDS, 'd', 'z'))).toEqual(['d']);
  });

  it('does not change the one before', () => {
    const before = new Set(['a']);
    withToggled(before, IDS, 'b', null);
    expect(sorted(before)).toEqual(['a']);
  });

  it('forgets rows that are no longer shown', () => {
    expect(sorted(stillShown(new Set(['a', 'z']), IDS))).toEqual(['a']);
  });
});
