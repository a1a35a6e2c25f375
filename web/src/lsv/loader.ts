import { type Bytes, uuidBytes } from './bytes';
import { LsvError } from './errors';
import { unwrapContentKey } from './exchange';
import { FetchError, fetchRange } from './fetchRange';
import { type ContentKey, type Header, headerBytes, openHeader } from './header';
import type { PackKeys } from './keys';
import { PRELUDE_BYTES } from './layout';
import { planOf } from './plan';
import type { ChunkRequest, FromWorker, OpenRequest, ToWorker } from './protocol';
import { decryptRecord } from './records';
import type { ChunkFailure } from './retry';

/** The header of a film of two hours and its initialisation segment, in one request. */
const FIRST_BYTES = 64 * 1024;

interface Pack {
  header: Header;
  keys: PackKeys;
}

/** Fetches and decrypts what it is asked for; runs in a worker. It decides nothing: who asks, retries. */
export class Loader {
  private content: ContentKey | null = null;
  private pack: Pack | null = null;
  /** The beginning of the pack, as far as the first request had it. */
  private head: Bytes = new Uint8Array(0);
  private generation = 0;
  private aborts = new AbortController();

  constructor(
    private readonly post: (message: FromWorker, transfer?: Transferable[]) => void,
    private readonly send: typeof fetch,
  ) {}

  handle(message: ToWorker): void {
    if (message.generation > this.generation) {
      this.generation = message.generation;
      this.aborts.abort();
      this.aborts = new AbortController();
    }
    if (message.type === 'open') void this.open(message);
    if (message.type === 'chunk') void this.chunk(message);
  }

  private async open(request: OpenRequest): Promise<void> {
    const { generation, binding, grant, keys } = request;
    const { signal } = this.aborts;
    try {
      this.content = await unwrapContentKey(grant, keys, binding);
    } catch (error) {
      const fault = error instanceof LsvError ? error.fault : 'key-changed';
      this.post({ type: 'refused', generation, fault });
      return;
    }
    this.post({ type: 'key', generation });
    await this.guard(generation, 0, signal, async () => {
      this.pack = await this.readHeader(request, this.content as ContentKey, signal);
      const plan = planOf(this.pack.header);
      const init = await this.readRecord(request, 0, this.pack, signal);
      this.post({ type: 'opened', generation, plan, init }, [init]);
    });
  }

  private async chunk(request: ChunkRequest): Promise<void> {
    const { generation, record } = request;
    const { signal } = this.aborts;
    await this.guard(generation, record, signal, async () => {
      if (!this.pack) return;
      const data = await this.readRecord(request, record, this.pack, signal);
      this.post({ type: 'chunk', generation, record, data }, [data]);
    });
  }

  private async readHeader(request: OpenRequest, content: ContentKey, signal: AbortSignal): Promise<Pack> {
    const { url, isRetry, binding, grant } = request;
    const first = await fetchRange({ url, offset: 0, length: FIRST_BYTES, isRetry, signal }, this.send);
    const length = headerBytes(first.bytes.subarray(0, PRELUDE_BYTES));
    let raw = first.bytes;
    if (length > raw.length) {
      raw = (await fetchRange({ url, offset: 0, length, isRetry, signal }, this.send)).bytes;
    }
    const expected = {
      contentId: uuidBytes(binding.videoId),
      contentVersion: BigInt(grant.content_version),
    };
    const pack = await openHeader(raw, content, expected, first.fileBytes);
    this.head = raw;
    return pack;
  }

  /** Returns the plaintext of a record. */
  private async readRecord(
    { url, isRetry, generation }: ChunkRequest | OpenRequest,
    record: number,
    { header, keys }: Pack,
    signal: AbortSignal,
  ): Promise<ArrayBuffer> {
    const offset = header.offsets[record] ?? 0;
    const length = header.entries[record]?.length ?? 0;
    let bytes = isRetry ? new Uint8Array(0) : this.head.subarray(offset, offset + length);
    if (bytes.length < length) {
      bytes = (await fetchRange({ url, offset, length, isRetry, signal }, this.send)).bytes;
      // Cut off on the way: the length of the pack was checked.
      if (bytes.length < length) throw new FetchError({ kind: 'network', retryAfterSec: null });
    }
    this.post({ type: 'received', generation, record });
    return decryptRecord(bytes, record, header.prelude, keys.record);
  }

  private async guard(
    generation: number,
    record: number,
    signal: AbortSignal,
    task: () => Promise<void>,
  ): Promise<void> {
    try {
      await task();
    } catch (error) {
      if (!signal.aborted) this.post({ type: 'failed', generation, record, failure: failureOf(error) });
    }
  }
}

function failureOf(error: unknown): ChunkFailure {
  return error instanceof FetchError ? error.failure : { kind: 'damaged' };
}
