import { Database } from '../../src/lsv/offline/database';
import type { IssuedLicence, StoredFilm } from '../../src/lsv/offline/licences';
import { type AccessHandle, PackFiles } from '../../src/lsv/offline/packFile';

/** What a browser keeps between two starts: give the same one to two databases, and it is a restart. */
export type Disk = Map<string, Map<string, unknown>>;

interface Settable {
  onsuccess?: () => void;
  onerror?: () => void;
  onupgradeneeded?: () => void;
  oncomplete?: () => void;
  onabort?: () => void;
  [name: string]: unknown;
}

/** As much of IndexedDB as `Database` uses. Values are cloned, and one transaction waits for the other, as in browsers. */
export function fakeIndexedDb(disk: Disk = new Map()): IDBFactory {
  const copy = (value: unknown) => (value === undefined ? undefined : structuredClone(value));
  const begin = () => {
    const transaction: Settable = {};
    const begun = (lastOf.get(disk) ?? Promise.resolve()).then(() => undefined);
    const ended = begun.then(() => new Promise<void>((resolve) => setTimeout(resolve)));
    lastOf.set(disk, ended);
    void ended.then(() => transaction.oncomplete?.());
    transaction.objectStore = (name: string) => {
      const rows = disk.get(name) ?? new Map<string, unknown>();
      const answer = (read: () => unknown) => {
        const request: Settable = {};
        void begun.then(() => {
          request.result = read();
          queueMicrotask(() => request.onsuccess?.());
        });
        return request;
      };
      return {
        get: (key: string) => answer(() => copy(rows.get(key))),
        getAll: () => answer(() => [...rows.values()].map(copy)),
        getAllKeys: () => answer(() => [...rows.keys()]),
        put: (value: unknown, key: string) => {
          const stored = copy(value);
          return answer(() => rows.set(key, stored).size);
        },
        delete: (key: string) => answer(() => rows.delete(key)),
      };
    };
    return transaction;
  };
  const database: Settable = {
    objectStoreNames: { contains: (name: string) => disk.has(name) },
    createObjectStore: (name: string) => disk.set(name, new Map()),
    close: () => undefined,
    transaction: begin,
  };
  const open = () => {
    const request: Settable = { result: database };
    queueMicrotask(() => {
      if (disk.size === 0) request.onupgradeneeded?.();
      request.onsuccess?.();
    });
    return request;
  };
  return { open } as unknown as IDBFactory;
}

/** The last transaction on a disk. */
const lastOf = new WeakMap<Disk, Promise<void>>();

export function fakeDatabase(disk: Disk = new Map()): Database {
  return new Database(fakeIndexedDb(disk));
}

interface FakeFile {
  bytes: Uint8Array<ArrayBuffer>;
  isOpen: boolean;
}

/** As much of the origin's private file system as `PackFiles` uses. */
export class FakeFiles {
  readonly files = new Map<string, FakeFile>();
  /** A browser that has no more room writes fewer bytes than asked. */
  roomBytes = Number.POSITIVE_INFINITY;
  /** Flips a bit of what is written. */
  corrupts = false;
  /** After as many changes the browser is killed: half of the last one is on the disk, and nothing of later ones. */
  changesLeft = Number.POSITIVE_INFINITY;

  get packs(): PackFiles {
    return new PackFiles(async () => this.folder(''));
  }

  /** The page has ended: its locks are gone, its bytes are not. */
  crash(): void {
    for (const file of this.files.values()) file.isOpen = false;
    this.changesLeft = Number.POSITIVE_INFINITY;
  }

  /** Whether a change gets to the disk as a whole. */
  private survives(): boolean {
    this.changesLeft -= 1;
    return this.changesLeft > 0;
  }

  private folder(path: string): FileSystemDirectoryHandle {
    const { files } = this;
    const under = (name: string) => `${path}/${name}`;
    const missing = () => new DOMException('not there', 'NotFoundError');
    const exists = (prefix: string) => [...this.files.keys()].some((name) => name.startsWith(`${prefix}/`));
    return {
      keys: async function* () {
        const names = [...files.keys()].filter((name) => name.startsWith(`${path}/`));
        yield* new Set(names.map((name) => name.slice(path.length + 1).split('/')[0] ?? ''));
      },
      getDirectoryHandle: async (name: string, { create = false } = {}) => {
        if (!create && !exists(under(name))) throw missing();
        return this.folder(under(name));
      },
      getFileHandle: async (name: string, { create = false } = {}) => {
        const known = this.files.get(under(name));
        if (!known && !create) throw missing();
        const file = known ?? { bytes: new Uint8Array(0), isOpen: false };
        this.files.set(under(name), file);
        return {
          getFile: async () => new Blob([file.bytes]),
          createSyncAccessHandle: async () => this.access(file),
        };
      },
      removeEntry: async (name: string) => {
        if (!exists(under(name))) throw missing();
        for (const key of this.files.keys()) if (key.startsWith(`${under(name)}/`)) this.files.delete(key);
      },
    } as unknown as FileSystemDirectoryHandle;
  }

  private access(file: FakeFile): AccessHandle {
    if (file.isOpen) throw new DOMException('open elsewhere', 'NoModificationAllowedError');
    file.isOpen = true;
    const resize = (size: number) => {
      const bytes = new Uint8Array(size);
      bytes.set(file.bytes.subarray(0, size));
      file.bytes = bytes;
    };
    return {
      getSize: () => file.bytes.length,
      truncate: (size) => {
        if (this.survives()) resize(size);
      },
      flush: () => undefined,
      close: () => {
        file.isOpen = false;
      },
      read: (buffer, { at }) => {
        const part = file.bytes.subarray(at, at + buffer.length);
        buffer.set(part);
        return part.length;
      },
      write: (buffer, { at }) => {
        const isWhole = this.survives();
        if (!isWhole && this.changesLeft < 0) return buffer.length;
        const part = buffer.slice(0, isWhole ? Math.max(0, this.roomBytes) : buffer.length >> 1);
        this.roomBytes -= part.length;
        if (this.corrupts && part.length > 64) part[part.length >> 1] = (part[part.length >> 1] ?? 0) ^ 1;
        if (file.bytes.length < at + part.length) resize(at + part.length);
        file.bytes.set(part, at);
        return part.length;
      },
    };
  }
}

const NOTHING = {
  description: null,
  thumbnail_url: null,
  failure_code: null,
  failure_reason: null,
  uploader_id: null,
  series_id: null,
};

/** Returns a row as the list of downloads has it. */
export function storedFilm(licence: IssuedLicence, changed: Partial<StoredFilm> = {}): StoredFilm {
  const video = {
    ...NOTHING,
    id: licence.video_id,
    title: 'Night train',
    duration_sec: 60,
    status: 'ready' as const,
    created_at: licence.issued_at,
    mime_type: 'video/mp4',
    width: 640,
    height: 360,
    protection: 'lsv' as const,
  };
  const progress = { bytes: 0, totalBytes: 0 };
  return { userId: 'hana', video, subtitles: [], licence, state: 'unfinished', progress, ...changed };
}
