const NAME = 'marquee-offline';
const VERSION = 1;

export type StoreName = 'device' | 'films' | 'clock' | 'positions' | 'extras';
const STORES: readonly StoreName[] = ['device', 'films', 'clock', 'positions', 'extras'];

/** IndexedDB with promises. A write counts when its transaction is complete. */
export class Database {
  private opened: Promise<IDBDatabase> | null = null;

  constructor(private readonly factory: IDBFactory = indexedDB) {}

  async get<T>(store: StoreName, key: string): Promise<T | null> {
    const database = await this.open();
    const request = database.transaction(store, 'readonly').objectStore(store).get(key);
    return ((await resultOf(request)) as T | undefined) ?? null;
  }

  async all<T>(store: StoreName): Promise<T[]> {
    const database = await this.open();
    return resultOf(database.transaction(store, 'readonly').objectStore(store).getAll()) as Promise<T[]>;
  }

  put(store: StoreName, key: string, value: unknown): Promise<void> {
    return this.change(store, (target) => target.put(value, key));
  }

  /** Returns what is stored; stores a value first if there is none. Of two tabs at once, both get the same. */
  async putIfAbsent<T>(store: StoreName, key: string, value: T): Promise<T> {
    let stored = value;
    await this.change(store, (target) => {
      const request = target.get(key);
      request.onsuccess = () => {
        if (request.result === undefined) target.put(value, key);
        else stored = request.result as T;
      };
    });
    return stored;
  }

  /**
   * Changes a row in one transaction, so that of two tabs none overwrites what the other has written. Returns the row
   * as it is then. `change` gets the present row, or null, and returns the new one; null leaves it as it is.
   */
  async update<T>(store: StoreName, key: string, change: (present: T | null) => T | null): Promise<T | null> {
    let stored: T | null = null;
    await this.change(store, (target) => {
      const request = target.get(key);
      request.onsuccess = () => {
        const present = (request.result as T | undefined) ?? null;
        const next = change(present);
        if (next !== null) target.put(next, key);
        stored = next ?? present;
      };
    });
    return stored;
  }

  async keys(store: StoreName): Promise<string[]> {
    const database = await this.open();
    const request = database.transaction(store, 'readonly').objectStore(store).getAllKeys();
    return (await resultOf(request)).map(String);
  }

  delete(store: StoreName, key: string): Promise<void> {
    return this.change(store, (target) => target.delete(key));
  }

  private async change(store: StoreName, task: (target: IDBObjectStore) => void): Promise<void> {
    const database = await this.open();
    const transaction = database.transaction(store, 'readwrite', { durability: 'strict' });
    const done = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new DOMException('aborted', 'AbortError'));
    });
    task(transaction.objectStore(store));
    await done;
  }

  private open(): Promise<IDBDatabase> {
    this.opened ??= this.connect().catch((error) => {
      this.opened = null;
      throw error;
    });
    return this.opened;
  }

  private async connect(): Promise<IDBDatabase> {
    const request = this.factory.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      for (const store of STORES) {
        if (!request.result.objectStoreNames.contains(store)) request.result.createObjectStore(store);
      }
    };
    const database = await resultOf(request);
    // Another tab has a newer version of the site, or the viewer clears the site's data.
    database.onversionchange = () => {
      database.close();
      this.opened = null;
    };
    return database;
  }
}

function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new DOMException('failed', 'UnknownError'));
  });
}
