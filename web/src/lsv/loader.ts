import { type Bytes, uuidBytes } from './bytes';
import { LsvError } from './errors';
import { type Scope, unwrapContentKey } from './exchange';
import { FetchError, fetchRange, type RangeAnswer } from './fetchRange';
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

/** A pack that this browser keeps. */
export interface StoredPack {
  read(offset: number, length: number): Promise<RangeAnswer>;
  /** Has a damaged record fetched again, when there is a network. */
  forget(record: number): Promise<void>;
}

/** Opens a pack that this browser keeps, or null if it is not there. */
export type OpenStored = (name: string) => Promise<StoredPack | null>;

/** Fetches and decrypts what it is asked for; runs in a worker. It decides nothing: who asks, retries. */
export class Loader {
  private content: ContentKey | null = null;
  private pack: Pack | null = null;
  private stored: StoredPack | null = null;
  /** The beginning of the pack, as far as the first request had it. */
  private head: Bytes = new Uint8Array(0);
  private generation = 0;
  private aborts = new AbortController();

  constructor(
    private readonly post: (message: FromWorker, transfer?: Transferable[]) => void,
    private readonly send: typeof fetch,
    private readonly openStored: OpenStored = async () => null,
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
    const { generation, binding, grant, keys, stored } = request;
    const { signal } = this.aborts;
    try {
      const needed: Scope = stored === null ? 'ONLINE_STREAM_ONLY' : 'OFFLINE_PLAYBACK';
      if (binding.scope !== needed) throw new LsvError('wrong-scope', `the key is for ${binding.scope}`);
      this.content = await unwrapContentKey(grant, keys, binding);
    } catch (error) {
      const fault = error instanceof LsvError ? error.fault : 'key-changed';
      this.post({ type: 'refused', generation, fault });
      return;
    }
    this.post({ type: 'key', generation });
    await this.guard(generation, 0, signal, async () => {
      this.stored = stored === null ? null : await this.openStored(stored);
      if (stored !== null && !this.stored) throw new LsvError('truncated', 'the pack is not there');
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
    const { binding, grant } = request;
    const first = await this.read(request, 0, FIRST_BYTES, signal);
    const length = headerBytes(first.bytes.subarray(0, PRELUDE_BYTES));
    let raw = first.bytes;
    if (length > raw.length) {
      raw = (await this.read(request, 0, length, signal)).bytes;
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
    request: ChunkRequest | OpenRequest,
    record: number,
    { header, keys }: Pack,
    signal: AbortSignal,
  ): Promise<ArrayBuffer> {
    const { isRetry, generation } = request;
    const offset = header.offsets[record] ?? 0;
    const length = header.entries[record]?.length ?? 0;
    let bytes = isRetry ? new Uint8Array(0) : this.head.subarray(offset, offset + length);
    if (bytes.length < length) {
      bytes = (await this.read(request, offset, length, signal)).bytes;
      // Cut off on the way: the length of the pack was checked.
      if (bytes.length < length) throw new FetchError({ kind: 'network', retryAfterSec: null });
    }
    this.post({ type: 'received', generation, record });
    try {
      return await decryptRecord(bytes, record, header.prelude, keys.record);
    } catch (error) {
      await this.stored?.forget(record).catch(() => undefined);
      throw error;
    }
  }

  private read(
    { url, isRetry }: ChunkRequest | OpenRequest,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): Promise<RangeAnswer> {
    if (this.stored) return this.stored.read(offset, length);
    return fetchRange({ url, offset, length, isRetry, signal }, this.send);
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
