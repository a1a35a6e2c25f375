import { type Bytes, isEqual } from '../bytes';
import type { RangeAnswer } from '../fetchRange';
import type { StoredPack } from '../loader';

/** A file that a worker reads and writes without waiting; only workers have it. */
export interface AccessHandle {
  read(buffer: Uint8Array, options: { at: number }): number;
  write(buffer: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

interface ListedFolder extends FileSystemDirectoryHandle {
  keys(): AsyncIterableIterator<string>;
}

interface AccessibleFile extends FileSystemFileHandle {
  createSyncAccessHandle(): Promise<AccessHandle>;
}

/** The disk, or the browser's share of it, is full. */
export class StoreFullError extends Error {
  override name = 'StoreFullError';
}

const FOLDER = 'lsv';
/** The pack as the server sent it, byte for byte. */
const PACK = 'pack';
/** One byte a record: 1 if it is in the pack file, and was checked there. */
const MAP = 'map';

/** The packs that this browser keeps: each in a folder of its own in the origin's private file system. */
export class PackFiles {
  constructor(
    private readonly root: () => Promise<FileSystemDirectoryHandle> = () => navigator.storage.getDirectory(),
  ) {}

  /** Opens the pack of a film for writing; it can be opened once at a time. Throws if the browser can't. */
  async write(name: string): Promise<PackWriter> {
    const folder = await (await this.packs()).getDirectoryHandle(name, { create: true });
    const pack = await open(folder, PACK);
    try {
      return new PackWriter(pack, await open(folder, MAP));
    } catch (error) {
      pack.close();
      throw error;
    }
  }

  /** Opens the pack of a film for reading, in as many tabs as there are; null if there is none. */
  async read(name: string): Promise<PackReader | null> {
    try {
      const folder = await (await this.packs()).getDirectoryHandle(name);
      return new PackReader(await folder.getFileHandle(PACK));
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  async remove(name: string): Promise<void> {
    try {
      await (await this.packs()).removeEntry(name, { recursive: true });
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  /** Returns the names of all packs, whole or not. */
  async names(): Promise<string[]> {
    const names: string[] = [];
    for await (const name of ((await this.packs()) as ListedFolder).keys()) names.push(name);
    return names;
  }

  private async packs(): Promise<FileSystemDirectoryHandle> {
    return (await this.root()).getDirectoryHandle(FOLDER, { create: true });
  }
}

export class PackReader {
  constructor(private readonly handle: FileSystemFileHandle) {}

  /** Returns a range of bytes; fewer only where the file ends. */
  async read(offset: number, length: number): Promise<RangeAnswer> {
    const file = await this.handle.getFile();
    const bytes = new Uint8Array(await file.slice(offset, offset + length).arrayBuffer());
    return { bytes, fileBytes: file.size };
  }
}

/** Opens a pack for the player. What it finds damaged is fetched again when the download goes on. */
export async function openStoredPack(files: PackFiles, name: string): Promise<StoredPack | null> {
  const reader = await files.read(name);
  if (!reader) return null;
  return {
    read: (offset, length) => reader.read(offset, length),
    forget: async (record) => {
      const writer = await files.write(name);
      writer.forget(record);
      writer.close();
    },
  };
}

/** Writes a pack record by record, in any order; what was written survives the end of the page at any moment. */
export class PackWriter {
  private map: Bytes = new Uint8Array(0);

  constructor(
    private readonly packFile: AccessHandle,
    private readonly mapFile: AccessHandle,
  ) {}

  /** For each record, whether it is there. */
  get present(): Uint8Array {
    return this.map;
  }

  /** Goes on with a pack of this header; whatever there is of another one is removed. */
  begin(header: Bytes, records: number): void {
    const isSame =
      this.packFile.getSize() >= header.length && isEqual(this.readPack(0, header.length), header);
    if (!isSame) {
      this.mapFile.truncate(0);
      this.mapFile.flush();
      this.packFile.truncate(0);
      writeAll(this.packFile, header, 0);
      this.packFile.flush();
    }
    this.map = new Uint8Array(records);
    this.mapFile.read(this.map, { at: 0 });
  }

  /** Writes the bytes of records, and returns what is in the file then. They don't count before `confirm`. */
  write(bytes: Bytes, offset: number): Bytes {
    writeAll(this.packFile, bytes, offset);
    this.packFile.flush();
    return this.readPack(offset, bytes.length);
  }

  /** Counts records as there: they were read back, and are authentic. */
  confirm(first: number, count: number): void {
    this.map.fill(1, first, first + count);
    writeAll(this.mapFile, this.map.subarray(first, first + count), first);
    this.mapFile.flush();
  }

  /** Has a record fetched again: it is damaged. */
  forget(record: number): void {
    this.mapFile.write(new Uint8Array(1), { at: record });
    this.mapFile.flush();
  }

  close(): void {
    this.packFile.close();
    this.mapFile.close();
  }

  private readPack(offset: number, length: number): Bytes {
    const bytes = new Uint8Array(length);
    return bytes.subarray(0, this.packFile.read(bytes, { at: offset }));
  }
}

function writeAll(file: AccessHandle, bytes: Uint8Array, at: number): void {
  try {
    if (file.write(bytes, { at }) === bytes.length) return;
  } catch (error) {
    if (!(error instanceof DOMException && error.name === 'QuotaExceededError')) throw error;
  }
  throw new StoreFullError('the browser has no room');
}

async function open(folder: FileSystemDirectoryHandle, name: string): Promise<AccessHandle> {
  const file = (await folder.getFileHandle(name, { create: true })) as AccessibleFile;
  return file.createSyncAccessHandle();
}

function isMissing(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'NotFoundError';
}
