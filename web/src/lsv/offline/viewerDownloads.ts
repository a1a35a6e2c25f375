interface Closable {
  close(): void;
}

/** The downloads of the viewer who is here. Those of the one before end before there are others. */
export class ViewerDownloads<T extends Closable> {
  private known: { userId: string; downloads: T; isClosed: boolean } | null = null;

  constructor(private readonly create: (userId: string) => T) {}

  of(userId: string | null): T | null {
    if (this.known?.userId !== userId) this.follow(userId);
    if (userId === null) return null;
    this.known ??= { userId, downloads: this.create(userId), isClosed: false };
    return this.known.downloads;
  }

  /** The site knows who is here. */
  follow(userId: string | null): void {
    if (!this.known || (this.known.userId === userId && !this.known.isClosed)) return;
    const isBack = this.known.userId === userId;
    this.close();
    this.known = null;
    // The same viewer after all: what was stopped goes on.
    if (isBack) this.of(userId);
  }

  /** Another tab says who is here. Returns whether that is another viewer: it is for the site to find out then. */
  hear(userId: string | null): boolean {
    if (!this.known || this.known.userId === userId) return false;
    this.close();
    return true;
  }

  private close(): void {
    if (!this.known || this.known.isClosed) return;
    this.known.isClosed = true;
    this.known.downloads.close();
  }
}
