import type { KeyGrant, ProgressRecord, SubtitleTrack, VideoDetail } from '../../api/types';
import { uuid7 } from '../../lib/uuid7';
import { fromBase64Url, isEqual } from '../bytes';
import { type Binding, createExchangeKeys, type ExchangeKeys } from '../exchange';
import { secondsOf, type Term, TOLERANCE_SEC } from './clock';
import type { Database } from './database';
import type { Progress } from './downloadPlan';

/** What this browser is to the server: made once, and kept. Scripts can't read its private key. */
export interface Device {
  id: string;
  keys: ExchangeKeys;
}

/** A licence as the server lists it. */
export interface OfflineLicence {
  id: string;
  video_id: string;
  device_id: string;
  device_name: string;
  scope: string;
  issued_at: string;
  expires_at: string;
  content_version: number;
}

/** A licence with its key, as it is issued and renewed. */
export type IssuedLicence = OfflineLicence & KeyGrant;

/** `unfinished` is one that a viewer did not pause: it goes on by itself. */
export type DownloadState = 'unfinished' | 'paused' | 'complete';

/** A film of one viewer in this browser: its licence, and how much of it is there. */
export interface StoredFilm {
  userId: string;
  video: VideoDetail;
  subtitles: SubtitleTrack[];
  licence: IssuedLicence;
  state: DownloadState;
  progress: Progress;
  /** The server has ended the licence before its time. */
  isEnded?: boolean;
}

/** Where a viewer's film is kept; also the name of its folder. */
export function filmKey(userId: string, videoId: string): string {
  return `${userId}.${videoId}`;
}

export function termOf({ issued_at, expires_at }: OfflineLicence): Term {
  return { issuedAt: secondsOf(issued_at), expiresAt: secondsOf(expires_at) };
}

/** Returns what the content key of a licence is bound to. */
export function bindingOf({ video_id, device_id, expires_at }: OfflineLicence): Binding {
  return {
    scope: 'OFFLINE_PLAYBACK',
    videoId: video_id,
    deviceId: device_id,
    expiresAt: secondsOf(expires_at),
  };
}

/** Orders films by when their licences end. */
export function endsSooner(one: StoredFilm, other: StoredFilm): number {
  return termOf(one.licence).expiresAt - termOf(other.licence).expiresAt;
}

/** Returns whether what was downloaded with one licence can be played with another: the film may be packed anew. */
export function opensSamePack(one: IssuedLicence, other: IssuedLicence): boolean {
  const keyIdOf = ({ wrapped_key }: IssuedLicence) => fromBase64Url(wrapped_key).subarray(4, 20);
  return one.content_version === other.content_version && isEqual(keyIdOf(one), keyIdOf(other));
}

/** The device's key, and the licences of films that are in this browser. */
export class LicenceStore {
  constructor(private readonly database: Database) {}

  /** Returns this device's key pair, which is made when it is first asked for. */
  async device(): Promise<Device> {
    const known = await this.database.get<Device>('device', 'own');
    if (known) return known;
    const made: Device = { id: uuid7(), keys: await createExchangeKeys() };
    return this.database.putIfAbsent('device', 'own', made);
  }

  find(userId: string, videoId: string): Promise<StoredFilm | null> {
    return this.database.get<StoredFilm>('films', filmKey(userId, videoId));
  }

  /** Returns the films of a viewer; those that end first come first. */
  async ofUser(userId: string): Promise<StoredFilm[]> {
    const films = await this.database.all<StoredFilm>('films');
    return films.filter((film) => film.userId === userId).sort(endsSooner);
  }

  put(film: StoredFilm): Promise<void> {
    return this.database.put('films', filmKey(film.userId, film.video.id), film);
  }

  /** Changes some fields of a row as it is now; null if there is none, as when another tab has deleted it. */
  update(
    userId: string,
    videoId: string,
    change: (film: StoredFilm) => Partial<StoredFilm>,
  ): Promise<StoredFilm | null> {
    return this.database.update<StoredFilm>('films', filmKey(userId, videoId), (film) =>
      film ? { ...film, ...change(film) } : null,
    );
  }

  async delete(userId: string, videoId: string): Promise<void> {
    const key = filmKey(userId, videoId);
    for (const store of ['films', 'positions', 'extras'] as const) await this.database.delete(store, key);
  }
}

/** The position where a viewer stopped, as far as this browser knows. */
export interface KeptPosition {
  userId: string;
  videoId: string;
  position: number;
  duration: number;
  session_id: string;
  seq: number;
  /** By this device's clock, milliseconds since 1970. */
  at: number;
  /** Whether the server has it. */
  isSent: boolean;
}

/**
 * Whether a position that was kept may be sent: never over one that was saved later elsewhere. This device's clock may
 * be ahead of the server's, by `aheadMs`; one that is behind only makes it the more careful. A position of the future
 * was made while the clock was wrong, and counts less than any.
 */
export function maySend(
  kept: KeptPosition,
  onServer: ProgressRecord | null,
  aheadMs = 0,
  now = Date.now(),
): boolean {
  if (kept.isSent) return false;
  if (onServer === null) return true;
  return (
    kept.at <= now + 1000 * TOLERANCE_SEC && Date.parse(onServer.updated_at) < kept.at - Math.max(0, aheadMs)
  );
}
