import { describe, expect, it } from 'vitest';
import type { Highlight } from '../src/api/discovery';
import type { ManagedVideo, TitleProposal } from '../src/api/films';
import type { DeviceLicence } from '../src/api/licences';
import {
  draftOf,
  draftsOfJson,
  EMPTY,
  formOf,
  jsonOf,
  secondsOf,
  timeText,
} from '../src/pages/admin/highlightForm';
import { isInForce } from '../src/pages/admin/LicencesPage';
import { pointsOf } from '../src/pages/admin/pointsForm';
import { packingChangedAt, packingFailure, protectionOf } from '../src/pages/admin/protection';
import { changedOf, choiceOf, fieldName } from '../src/pages/admin/titles';

const video = (change: object): ManagedVideo =>
  ({
    status: 'ready',
    protection: null,
    files: [{ kind: 'source' }],
    jobs: [],
    ...change,
  }) as unknown as ManagedVideo;

const job = (state: string, reason = '') => ({ kind: 'protect', state, reason, updated_at: `at ${state}` });

describe('the protection of a film', () => {
  it.each([
    ['none', {}],
    ['packing', { jobs: [job('running')] }],
    ['packing', { protection: 'lsv', files: [{ kind: 'source' }, { kind: 'lsv' }], jobs: [job('waiting')] }],
    ['first', { status: 'processing', protection: 'lsv', jobs: [job('retrying')] }],
    ['first', { status: 'processing', protection: 'lsv' }],
    ['on', { protection: 'lsv', files: [{ kind: 'source' }, { kind: 'lsv' }], jobs: [job('done')] }],
    ['gone', { protection: 'lsv', files: [{ kind: 'lsv' }], jobs: [job('done')] }],
    ['failed', { jobs: [job('failed', 'no space')] }],
    ['on', { protection: 'lsv', files: [{ kind: 'source' }, { kind: 'lsv' }], jobs: [job('failed')] }],
  ])('is %s', (state, change) => {
    expect(protectionOf(video(change))).toBe(state);
  });

  it('says why encrypting failed, and when its state changed', () => {
    expect(packingFailure(video({ jobs: [job('failed', 'no space')] }))).toBe('no space');
    expect(packingFailure(video({ jobs: [job('done', 'old')] }))).toBe('');
    expect(packingChangedAt(video({}))).toBe('');
    expect(packingChangedAt(video({ jobs: [job('done')] }))).toBe('at done');
  });
});

describe('a licence', () => {
  const licence = { ended_at: null, expires_at: '2026-01-02T00:00:00Z' } as DeviceLicence;

  it('is in force until it expires or ends', () => {
    expect(isInForce(licence, Date.parse('2026-01-01T23:59:59Z'))).toBe(true);
    expect(isInForce(licence, Date.parse('2026-01-02T00:00:00Z'))).toBe(false);
    expect(isInForce({ ...licence, ended_at: '2026-01-01T00:00:00Z' }, 0)).toBe(false);
  });
});

describe('points of an adjustment', () => {
  it.each([
    ['10', 10],
    [' +5 ', 5],
    ['-3', -3],
    ['−3', -3],
    ['1000000', 1_000_000],
    ['1000001', null],
    ['0', null],
    ['-0', null],
    ['1.5', null],
    ['1e3', null],
    ['', null],
  ])('%j is %s', (text, points) => {
    expect(pointsOf(text)).toBe(points);
  });
});

describe('the choice of titles', () => {
  it('takes a series before selected videos, and needs a template', () => {
    expect(choiceOf({ template: '', series_id: 's', ids: 'a' })).toBeNull();
    expect(choiceOf({ template: 'x', series_id: '', ids: '' })).toBeNull();
    expect(choiceOf({ template: 'x', series_id: 's', ids: 'a' })).toEqual({ template: 'x', series_id: 's' });
    expect(choiceOf({ template: 'x', series_id: '', ids: 'a,b,,a' })).toEqual({
      template: 'x',
      video_ids: ['a', 'b'],
    });
  });

  it('counts only titles that change', () => {
    const proposal = (before: string, after: string | null): TitleProposal => ({
      video_id: before,
      before,
      after,
      missing: null,
    });
    const items = [proposal('a', 'A'), proposal('b', 'b'), proposal('c', null)];
    expect(changedOf(items).map(({ before }) => before)).toEqual(['a']);
  });

  it('names fields, and leaves unknown ones unchanged', () => {
    expect(fieldName('players')).toBe('players');
    expect(fieldName('moon')).toBe('moon');
  });
});

const HIGHLIGHT: Highlight = {
  id: 'h1',
  video_id: 'v1',
  start: 62.54,
  end: 3723,
  category: 'bluff',
  title: '',
  players: ['Ann', 'Bea'],
  pot_size: 120000,
};

describe('the form of a highlight', () => {
  it.each([
    ['12', 12],
    ['12.5', 12.5],
    ['1:02', 62],
    ['1:02:03.25', 3723.25],
    [' 90 ', 90],
    ['1:60', null],
    ['1.5:00', null],
    ['-1', null],
    ['', null],
    ['1:2:3:4', null],
  ])('reads %j as %s seconds', (text, seconds) => {
    expect(secondsOf(text)).toBe(seconds);
  });

  it('writes times to a tenth of a second, as it reads them', () => {
    expect(timeText(62.54)).toBe('1:02.5');
    expect(timeText(59.97)).toBe('1:00');
    expect(secondsOf(timeText(3723.25))).toBe(3723.3);
  });

  it('keeps what it shows', () => {
    expect(draftOf(formOf(HIGHLIGHT), HIGHLIGHT)).toEqual({
      start: 62.54,
      end: 3723,
      category: 'bluff',
      title: '',
      players: ['Ann', 'Bea'],
      pot_size: 120000,
    });
  });

  it('says what is wrong', () => {
    expect(draftOf(EMPTY, null)).toBe('highlights.badTimes');
    expect(draftOf({ ...EMPTY, start: '5', end: '5' }, null)).toBe('highlights.badTimes');
    expect(draftOf({ ...EMPTY, start: '5', end: '6', pot: '-1' }, null)).toBe('highlights.badPot');
    expect(draftOf({ ...EMPTY, start: '5', end: '6', pot: '1,200' }, null)).toMatchObject({ pot_size: 1200 });
  });
});

describe('a file of highlights', () => {
  it('is read as it was written', () => {
    const { id: _id, video_id: _video, ...draft } = HIGHLIGHT;
    expect(draftsOfJson(jsonOf([HIGHLIGHT]))).toEqual([draft]);
  });

  it('may be what the API answers, or a list', () => {
    const answered = { items: [{ ...HIGHLIGHT, created_at: 'x', updated_at: 'y' }] };
    expect(draftsOfJson(JSON.stringify(answered))?.[0]).not.toHaveProperty('created_at');
    expect(draftsOfJson('[{"start": 1, "end": 2}]')).toEqual([{ start: 1, end: 2 }]);
  });

  it('is refused when it is no list', () => {
    expect(draftsOfJson('{')).toBeNull();
    expect(draftsOfJson('{"items": 3}')).toBeNull();
    expect(draftsOfJson('[1]')).toBeNull();
    expect(draftsOfJson('null')).toBeNull();
  });
});
