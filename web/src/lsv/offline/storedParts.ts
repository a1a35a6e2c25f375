import type { ProgressRecord, ProgressWrite, SubtitleTrack, VideoDetail } from '../../api/types';
import { LicenceOverError } from '../errors';
import type { KeySource } from '../sessionKeys';
import { ClockGuard } from './clock';
import type { Database } from './database';
import { loadExtras } from './extras';
import { bindingOf, filmKey, LicenceStore, type StoredFilm, termOf } from './licences';
import { keepPosition, positionOf } from './positions';

/** Why a licence allows nothing now. */
export interface Over {
  cause: 'clock' | null;
}

/** A film that this browser keeps as a whole: what the page shows of it, and its key, without a network. */
export class StoredParts implements KeySource {
  private readonly licences: LicenceStore;
  private readonly guard: ClockGuard;

  private constructor(
    private readonly database: Database,
    private readonly film: StoredFilm,
    /** With pictures of this browser in place of the server's. */
    readonly video: VideoDetail,
    readonly subtitles: SubtitleTrack[],
    private readonly forgetUrls: () => void,
  ) {
    this.licences = new LicenceStore(database);
    this.guard = new ClockGuard(database);
  }

  /** Returns a viewer's film if all of it is here, and its licence was not ended by the server. */
  static async find(database: Database, userId: string, videoId: string): Promise<StoredParts | null> {
    const film = await new LicenceStore(database).find(userId, videoId);
    if (film?.state !== 'complete' || film.isEnded) return null;
    const { video, subtitles, revoke } = await loadExtras(database, film);
    return new StoredParts(database, film, video, subtitles, revoke);
  }

  async license() {
    const { licence } = await this.current();
    const over = await this.over();
    if (over) throw new LicenceOverError(over.cause);
    const { keys } = await this.licences.device();
    const stored = filmKey(this.film.userId, this.film.video.id);
    const license = { grant: licence, keys, binding: bindingOf(licence), stored };
    return { license, watermark: licence.watermark };
  }

  /** Returns why the licence allows nothing now, or null; to be asked while the film plays, too. */
  async over(): Promise<Over | null> {
    const film = await this.current();
    // The server may have ended the licence while the film plays.
    if (film.isEnded) return { cause: null };
    const verdict = await this.guard.judge(termOf(film.licence));
    return verdict === 'valid' ? null : { cause: verdict === 'expired' ? null : 'clock' };
  }

  /** The film's row: its licence may have been renewed since the page was opened. */
  private async current(): Promise<StoredFilm> {
    return (await this.licences.find(this.film.userId, this.film.video.id)) ?? this.film;
  }

  /** A part of it is damaged on the disk: it is fetched again when there is a network. */
  async noteDamage(): Promise<void> {
    const { userId, video } = this.film;
    await this.licences.update(userId, video.id, () => ({ state: 'unfinished' }));
  }

  /** Returns where the viewer stopped, as far as this browser knows. */
  position(): Promise<ProgressRecord | null> {
    return positionOf(this.database, this.film.userId, this.film.video.id);
  }

  /** Keeps a position; one that did not arrive at the server is sent later. */
  keep(write: ProgressWrite, isSent: boolean): Promise<void> {
    const { userId, video } = this.film;
    return keepPosition(this.database, userId, video.id, write, isSent);
  }

  /** Call when the film leaves the page. */
  dispose(): void {
    this.forgetUrls();
  }
}
