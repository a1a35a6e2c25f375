import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError, NetworkError } from '../../src/api/errors';
import type { ProgressRecord, ProgressWrite } from '../../src/api/types';
import { loadExtras, picturesOf, withPictures } from '../../src/lsv/offline/extras';
import type { IssuedLicence, StoredFilm } from '../../src/lsv/offline/licences';
import { keepPosition, positionOf, sendPositions } from '../../src/lsv/offline/positions';
import { statusText, termText, troubleText } from '../../src/lsv/offline/statusText';
import { messages } from '../../src/lsv/offline/texts';
import { fakeDatabase, storedFilm } from './offlineSupport';

describe('what belongs to a film', () => {
  it('has pictures of this browser in its storyboard', async () => {
    const base = '/api/videos/v/storyboard.vtt';
    const text = 'WEBVTT\n\n00:00.000 --> 00:05.000\ns-0.jpg#xywh=0,0,160,90\n\ns-0.jpg#xywh=160,0,160,90\n';
    expect(picturesOf(text, base)).toEqual(['/api/videos/v/s-0.jpg']);
    expect(withPictures(text, base, () => 'blob:1')).toContain('\nblob:1#xywh=160,0,160,90\n');
    expect(withPictures(text, base, () => null)).toBe(text);
    const film = storedFilm({ video_id: 'v', issued_at: '' } as IssuedLicence);
    const { video } = await loadExtras(fakeDatabase(), film);
    expect(video).toMatchObject({ thumbnail_url: null, storyboard_url: null });
  });
});

describe('positions of films that are watched without a network', () => {
  const write = (seq: number, session_id = 'b'): ProgressWrite => ({
    position: 10 * seq,
    duration: 100,
    session_id,
    seq,
  });
  const onServer = (updated_at: string): ProgressRecord => ({
    content_id: 'v',
    position: 1,
    duration: 100,
    progress_percent: 1,
    completed: false,
    updated_at,
  });
  const found = (updated_at: string, moment: number | null) => ({ record: onServer(updated_at), moment });
  const NOON = Date.parse('2026-11-30T12:00:00Z');
  beforeEach(() => {
    vi.useFakeTimers({ now: NOON + 900_000, toFake: ['Date'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('are kept, the newest of the newest session', async () => {
    const database = fakeDatabase();
    const keep = (each: ProgressWrite) => keepPosition(database, 'hana', 'v', each, false, NOON);
    await keep(write(2));
    await keep(write(1));
    await keep(write(9, 'a'));
    expect(await positionOf(database, 'hana', 'v')).toMatchObject({ position: 20, completed: false });
    await keep(write(1, 'c'));
    expect(await positionOf(database, 'hana', 'v')).toMatchObject({ position: 10 });
    expect(await positionOf(database, 'minjun', 'v')).toBeNull();
  });

  it('are sent once, with their session, and never over one that was saved later elsewhere', async () => {
    const database = fakeDatabase();
    await keepPosition(database, 'hana', 'v', write(2), false, NOON);
    await keepPosition(database, 'hana', 'w', write(3), false, NOON);
    await keepPosition(database, 'hana', 'x', write(4), true, NOON);
    await keepPosition(database, 'minjun', 'v', write(5), false, NOON);
    const saved: [string, ProgressWrite][] = [];
    const server = {
      read: async (id: string) =>
        found(id === 'w' ? '2026-11-30T12:00:01Z' : '2026-11-30T11:00:00Z', Date.now()),
      save: async (id: string, each: ProgressWrite) => void saved.push([id, each]),
    };
    await sendPositions('hana', database, server);
    await sendPositions('hana', database, server);
    expect(saved).toEqual([['v', write(2)]]);
  });

  it.each([
    // The server's moment when they are sent, at a quarter past twelve by this device, and what it has.
    ['sent', 'the clock is right', '2026-11-30T12:15:00Z', '2026-11-30T11:59:00Z'],
    ['kept back', 'the clock is half an hour ahead', '2026-11-30T11:45:00Z', '2026-11-30T11:40:00Z'],
    ['sent', 'the clock is half an hour ahead', '2026-11-30T11:45:00Z', '2026-11-30T11:20:00Z'],
    ['kept back', 'the clock is behind', '2026-11-30T13:00:00Z', '2026-11-30T12:00:01Z'],
  ])('are %s where %s', async (how, _, moment, updated) => {
    const database = fakeDatabase();
    await keepPosition(database, 'hana', 'v', write(2), false, NOON);
    const save = vi.fn(async () => undefined);
    await sendPositions('hana', database, { read: async () => found(updated, Date.parse(moment)), save });
    expect(save).toHaveBeenCalledTimes(how === 'sent' ? 1 : 0);
  });

  it('of the future, which a wrong clock made, replace none', async () => {
    const database = fakeDatabase();
    await keepPosition(database, 'hana', 'v', write(2), false, Date.now() + 86_400_000);
    const save = vi.fn(async () => undefined);
    const read = async () => found(new Date().toISOString(), Date.now());
    await sendPositions('hana', database, { read, save });
    expect(save).not.toHaveBeenCalled();
  });

  it('of two tabs at once: the newer stays', async () => {
    const database = fakeDatabase();
    const keep = (each: ProgressWrite) => keepPosition(database, 'hana', 'v', each, false, NOON);
    await Promise.all([keep(write(9, 'c')), keep(write(8, 'b'))]);
    expect(await positionOf(database, 'hana', 'v')).toMatchObject({ position: 90 });
  });

  it('stay until the server is there; what it refuses for good is given up', async () => {
    const database = fakeDatabase();
    await keepPosition(database, 'hana', 'v', write(2), false, NOON);
    const save = vi.fn(async () => undefined);
    const away = { read: () => Promise.reject(new NetworkError()), save };
    await expect(sendPositions('hana', database, away)).rejects.toThrow(NetworkError);
    const gone = { read: () => Promise.reject(new ApiError(404, 'CONTENT_NOT_FOUND', 'gone')), save };
    await sendPositions('hana', database, gone);
    await sendPositions('hana', database, { read: async () => ({ record: null, moment: null }), save });
    expect(save).not.toHaveBeenCalled();
  });
});

describe('texts of downloads', () => {
  it('are in both languages, with the same parameters', () => {
    const placeholders = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();
    expect(Object.keys(messages.ko)).toEqual(Object.keys(messages.en));
    for (const key of Object.keys(messages.en) as (keyof typeof messages.en)[]) {
      expect(placeholders(messages.ko[key]), key).toEqual(placeholders(messages.en[key]));
    }
  });

  it('say what happens, what is there, and until when', () => {
    const licence = { video_id: 'v', issued_at: '', expires_at: '2026-12-30T12:00:00Z' } as IssuedLicence;
    const progress = { bytes: 999, totalBytes: 1000 };
    const film: StoredFilm = storedFilm(licence, { progress });
    expect(statusText(null, null)).toBeNull();
    expect(statusText(film, null)).toContain('Paused at 99%');
    expect(statusText({ ...film, state: 'complete' }, null)).toContain('Downloaded');
    expect(statusText(film, { phase: 'loading', progress, isWaiting: true })).toContain('Waiting');
    expect(termText(film, 'valid')).toContain('Until');
    expect(termText(film, 'expired')).toContain('renew');
    expect(termText(film, 'clock-turned-back')).toContain('clock');
    expect(termText({ ...film, isEnded: true }, 'valid')).toContain('ended');
    expect(troubleText({ kind: 'self-test', step: 'store-key' })).toContain('Private windows');
    expect(troubleText({ kind: 'key', fault: 'wrong-scope' })).toContain('Permission check failed');
    expect(troubleText({ kind: 'room', lackingBytes: 5e6 })).toContain('MB');
    for (const kind of ['full', 'elsewhere', 'damaged', 'refused', 'worker', 'otherViewer'] as const) {
      expect(troubleText({ kind }).length).toBeGreaterThan(10);
    }
  });
});
