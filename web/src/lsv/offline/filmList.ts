import { type Signal, signal } from '@preact/signals';
import { endsSooner, filmKey, type LicenceStore, type StoredFilm } from './licences';
import type { Tabs } from './tabs';

/** What changes of a film's row. It is made from the row as it is then: other tabs change it, too. */
export type Change = (film: StoredFilm) => Partial<StoredFilm>;

/** One viewer's films in this browser, as they are shown and as they are stored. */
export class FilmList {
  /** Whole or not; null before they are read. */
  readonly shown: Signal<StoredFilm[] | null> = signal(null);
  isClosed = false;
  private readonly forgetTabs: () => void;

  constructor(
    private readonly userId: string,
    private readonly licences: LicenceStore,
    private readonly tabs: Tabs,
    /** Called when another tab has changed something, and it is read. */
    onChange: () => void,
  ) {
    this.forgetTabs = tabs.listen((name) => {
      if (name.startsWith(filmKey(userId, ''))) this.load().then(onChange, () => undefined);
    });
  }

  async load(): Promise<void> {
    const films = await this.licences.ofUser(this.userId);
    if (!this.isClosed) this.shown.value = films;
  }

  /** Shows nothing any more, and changes nothing. */
  close(): void {
    this.isClosed = true;
    this.forgetTabs();
    this.shown.value = [];
  }

  find(videoId: string): StoredFilm | undefined {
    return this.shown.peek()?.find(({ video }) => video.id === videoId);
  }

  stored(videoId: string): Promise<StoredFilm | null> {
    return this.licences.find(this.userId, videoId);
  }

  async add(film: StoredFilm): Promise<void> {
    if (this.isClosed) return;
    this.show(film);
    await this.licences.put(film);
    this.tell(film.video.id);
  }

  /**
   * Changes a film's row. Shows the change at once, so that the next one is made to it, and then what is stored.
   * Returns null if the film is gone.
   */
  async change(videoId: string, changed: Change, isTold = true): Promise<StoredFilm | null> {
    const film = this.find(videoId);
    if (this.isClosed || !film) return null;
    this.show({ ...film, ...changed(film) });
    const stored = await this.licences.update(this.userId, videoId, changed);
    if (this.isClosed) return null;
    if (stored) this.show(stored);
    else this.shown.value = this.othersThan(videoId);
    if (isTold) this.tell(videoId);
    return stored;
  }

  async delete(videoId: string): Promise<void> {
    await this.licences.delete(this.userId, videoId);
    this.tell(videoId);
    await this.load();
  }

  private tell(videoId: string): void {
    this.tabs.tell(filmKey(this.userId, videoId));
  }

  private show(film: StoredFilm): void {
    this.shown.value = [...this.othersThan(film.video.id), film].sort(endsSooner);
  }

  private othersThan(videoId: string): StoredFilm[] {
    return (this.shown.peek() ?? []).filter(({ video }) => video.id !== videoId);
  }
}
