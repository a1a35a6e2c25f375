import type { ProgressRecord, ProgressWrite, SubtitleTrack, VideoDetail } from '../../api/types';
import { LicenceOverError } from '../errors';
import type { KeySource } from '../sessionKeys';
import { ClockGuard, type Verdict } from './clock';
import type { Database } from './database';
import { loadExtras } from './extras';
import { bindingOf, filmKey, LicenceStore, type StoredFilm, termOf } from './licences';
import { keepPosition, positionOf } from './positions';

/** Keys of a licence that this browser keeps. */
class StoredKeys implements KeySource {
  constructor(
    private readonly film: StoredFilm,
    private readonly licences: LicenceStore,
    private readonly judge: (film: StoredFilm) => Promise<Verdict>,
  ) {}

  async license() {
    // It may have been renewed since the page was opened.
    const film = (await this.licences.find(this.film.userId, this.film.video.id)) ?? this.film;
    const verdict = await this.judge(film);
    if (verdict !== 'valid') throw new LicenceOverError(verdict === 'expired' ? null : 'clock');
    const { licence } = film;
    const { keys } = await this.licences.device();
    const stored = filmKey(film.userId, film.video.id);
    return {
      license: { grant: licence, keys, binding: bindingOf(licence), stored },
      watermark: licence.watermark,
    };
  }
}

/** A film that this browser keeps as a whole: what the page shows of it, without a network. */
export class StoredParts {
  readonly keys: KeySource;
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
    this.keys = new StoredKeys(film, this.licences, (current) => this.guard.judge(termOf(current.licence)));
  }

  /** Returns a viewer's film if all of it is here, and its licence. */
  static async find(database: Database, userId: string, videoId: string): Promise<StoredParts | null> {
    const film = await new LicenceStore(database).find(userId, videoId);
    if (film?.state !== 'complete' || film.isEnded) return null;
    const { video, subtitles, revoke } = await loadExtras(database, film);
    return new StoredParts(database, film, video, subtitles, revoke);
  }

  async isValid(): Promise<boolean> {
    return (await this.guard.judge(termOf(this.film.licence))) === 'valid';
  }

  /** Returns what allows nothing any more, or null; to be asked while the film plays. */
  async overCause(): Promise<{ cause: 'clock' | null } | null> {
    const film = (await this.licences.find(this.film.userId, this.film.video.id)) ?? this.film;
    const verdict = await this.guard.judge(termOf(film.licence));
    return verdict === 'valid' ? null : { cause: verdict === 'expired' ? null : 'clock' };
  }

  /** A part of it is damaged on the disk: it is fetched again when there is a network. */
  async isDamaged(): Promise<void> {
    const film = await this.licences.find(this.film.userId, this.film.video.id);
    if (film) await this.licences.put({ ...film, state: 'unfinished' });
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
