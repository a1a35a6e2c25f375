import { retryDelayMs } from '../../lib/retry';
import { type Bytes, uuidBytes } from '../bytes';
import { LsvError } from '../errors';
import { unwrapContentKey } from '../exchange';
import { FetchError, fetchRange } from '../fetchRange';
import { type Header, headerBytes, openHeader } from '../header';
import type { PackKeys } from '../keys';
import { PRELUDE_BYTES } from '../layout';
import { decryptRecord } from '../records';
import { MAX_RETRIES } from '../retry';
import { lackingBytes, nextRun, type Progress, progressOf, type Run } from './downloadPlan';
import { type PackFiles, type PackWriter, StoreFullError } from './packFile';
import type { DownloadFailure, DownloadRequest, FromDownloader } from './protocol';

const FIRST_BYTES = 64 * 1024;

interface Deps {
  post: (message: FromDownloader) => void;
  send: typeof fetch;
  files: PackFiles;
  estimate: () => Promise<StorageEstimate>;
  random: () => number;
}

interface Opened {
  raw: Bytes;
  header: Header;
  keys: PackKeys;
}

/**
 * Downloads one pack into the browser's store; runs in a worker. It fetches what is missing, as often as it is started,
 * and counts what it could read back and decrypt. It goes on by itself until the page stops it, or nothing helps.
 */
export class Downloader {
  private url: string;
  private failures = 0;
  private damages = 0;
  private wake: () => void = () => undefined;
  private readonly stopping = new AbortController();

  constructor(
    private readonly request: DownloadRequest,
    private readonly deps: Deps,
  ) {
    this.url = request.url;
  }

  renewed(url: string): void {
    this.url = url;
    this.wake();
  }

  hurry(): void {
    this.wake();
  }

  stop(): void {
    this.stopping.abort();
    this.wake();
  }

  /** Ends with one message, when the file is closed: `complete`, `stopped` or `failed`. */
  async run(): Promise<void> {
    this.deps.post(await this.outcome());
  }

  private async outcome(): Promise<FromDownloader> {
    let writer: PackWriter | null = null;
    try {
      const { grant, keys, binding, name } = this.request;
      if (binding.scope !== 'OFFLINE_PLAYBACK')
        throw new LsvError('wrong-scope', 'the key is for another use');
      const content = await unwrapContentKey(grant, keys, binding);
      const opened = await this.persist(async (isRetry) => {
        const raw = await this.fetchHeader(isRetry);
        const expected = {
          contentId: uuidBytes(binding.videoId),
          contentVersion: BigInt(grant.content_version),
        };
        return { raw: raw.bytes, ...(await openHeader(raw.bytes, content, expected, raw.fileBytes)) };
      });
      writer = await this.open(name);
      return { type: 'complete', progress: await this.fill(writer, opened) };
    } catch (error) {
      if (this.stopping.signal.aborted) return { type: 'stopped' };
      return { type: 'failed', failure: failureOf(error) };
    } finally {
      writer?.close();
    }
  }

  private async fill(writer: PackWriter, { raw, header, keys }: Opened): Promise<Progress> {
    const [start = 0] = header.offsets;
    writer.begin(raw.subarray(0, start), header.entries.length);
    const { bytes, totalBytes } = progressOf(header, writer.present);
    const lacking = lackingBytes(totalBytes - bytes, await this.deps.estimate());
    if (lacking > 0) throw new RoomError(lacking);
    this.tell(writer, header, false);
    for (let run = nextRun(header, writer.present); run; run = nextRun(header, writer.present)) {
      const wanted = run;
      await this.persist(
        (isRetry) => this.fetchRun(wanted, writer, header, keys, isRetry),
        () => this.tell(writer, header, true),
      );
      this.tell(writer, header, false);
    }
    return progressOf(header, writer.present);
  }

  private async fetchHeader(isRetry: boolean) {
    const first = await this.fetch(0, FIRST_BYTES, isRetry);
    const length = headerBytes(first.bytes.subarray(0, PRELUDE_BYTES));
    return length > first.bytes.length ? this.fetch(0, length, isRetry) : first;
  }

  /** Fetches records, writes them, and counts them if what is in the file then is authentic. */
  private async fetchRun(
    { first, count, offset, length }: Run,
    writer: PackWriter,
    { offsets, prelude }: Header,
    keys: PackKeys,
    isRetry: boolean,
  ): Promise<void> {
    const { bytes } = await this.fetch(offset, length, isRetry);
    if (bytes.length < length) throw new FetchError({ kind: 'network', retryAfterSec: null });
    const stored = writer.write(bytes, offset);
    for (let record = first; record < first + count; record += 1) {
      const from = (offsets[record] ?? 0) - offset;
      const to = (offsets[record + 1] ?? 0) - offset;
      await decryptRecord(stored.subarray(from, to), record, prelude, keys.record);
    }
    writer.confirm(first, count);
  }

  private fetch(offset: number, length: number, isRetry: boolean) {
    const { signal } = this.stopping;
    return fetchRange({ url: this.url, offset, length, isRetry, signal }, this.deps.send);
  }

  /** Repeats what fails: with a fresh ticket, after a wait, or at once where bytes are damaged. */
  private async persist<T>(
    task: (isRetry: boolean) => Promise<T>,
    onWait: () => void = () => this.deps.post({ type: 'progress', progress: null, isWaiting: true }),
  ): Promise<T> {
    for (;;) {
      try {
        const result = await task(this.failures + this.damages > 0);
        this.failures = 0;
        this.damages = 0;
        return result;
      } catch (error) {
        if (this.stopping.signal.aborted) throw error;
        if (error instanceof FetchError && error.failure.kind !== 'damaged') {
          onWait();
          await this.wait(error.failure);
        } else if (isDamage(error) && this.damages < MAX_RETRIES) {
          this.damages += 1;
        } else throw error;
      }
    }
  }

  private async wait(failure: FetchError['failure']): Promise<void> {
    this.failures += 1;
    const isTicket = failure.kind === 'ticket';
    const atLeast = failure.kind === 'network' ? failure.retryAfterSec : null;
    const woken = new Promise<void>((resolve) => {
      this.wake = resolve;
    });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, retryDelayMs(this.failures, atLeast, this.deps.random()));
    });
    if (isTicket) {
      this.deps.post({ type: 'ticket' });
      // A server that refuses fresh tickets, too, is not asked at once.
      await (this.failures > 1 ? Promise.all([woken, timeout]) : woken);
    } else await Promise.race([woken, timeout]);
    clearTimeout(timer);
    this.wake = () => undefined;
    this.stopping.signal.throwIfAborted();
  }

  private tell(writer: PackWriter, header: Header, isWaiting: boolean): void {
    this.deps.post({ type: 'progress', progress: progressOf(header, writer.present), isWaiting });
  }

  private async open(name: string): Promise<PackWriter> {
    try {
      return await this.deps.files.write(name);
    } catch (error) {
      const isLocked =
        error instanceof DOMException && /^NoModificationAllowed|InvalidState/.test(error.name);
      throw isLocked ? new ElsewhereError() : error;
    }
  }
}

class RoomError extends Error {
  constructor(readonly lackingBytes: number) {
    super('the browser has not enough room');
  }
}

class ElsewhereError extends Error {}

function isDamage(error: unknown): boolean {
  if (error instanceof FetchError) return error.failure.kind === 'damaged';
  return error instanceof LsvError;
}

/** Faults of keys; those of bytes are damage. */
const KEY_FAULTS = new Set(['wrong-scope', 'key-changed', 'wrong-key', 'wrong-content', 'unsupported']);

function failureOf(error: unknown): DownloadFailure {
  if (error instanceof RoomError) return { kind: 'room', lackingBytes: error.lackingBytes };
  if (error instanceof ElsewhereError) return { kind: 'elsewhere' };
  if (error instanceof LsvError && KEY_FAULTS.has(error.fault)) return { kind: 'key', fault: error.fault };
  if (error instanceof StoreFullError) return { kind: 'full' };
  return isDamage(error) ? { kind: 'damaged' } : { kind: 'full' };
}
