import { isPassing } from '../api/errors';
import { backgroundTimers, type Cancel } from '../lib/backgroundTimers';
import { retryDelayMs } from '../lib/retry';
import { SessionOverError } from '../playsession/playSession';
import { canPlayType, mediaSourceClass } from './capability';
import type { EngineDeps } from './engineDeps';
import { LicenceOverError } from './errors';
import { MediaBuffer } from './mediaBuffer';
import {
  beyondGap,
  chunkAt,
  durationOf,
  entryChunkAt,
  isAtEnd,
  isComplete,
  nextRecord,
  type Plan,
  type Run,
  rangeAt,
} from './plan';
import type { FromWorker, LoaderPort } from './protocol';
import { type ChunkFailure, RetryPolicy } from './retry';
import type { Cause } from './status';
import { BufferWindow } from './window';

/** A chunk that was asked for, in the order in which chunks are appended. */
interface Wanted {
  record: number;
  data: ArrayBuffer | null;
}

/** The header and the initialisation segment count as one chunk. */
const HEADER = 0;
const READY_EVENTS = ['canplay', 'seeked', 'playing', 'play', 'pause', 'waiting', 'ended'] as const;
const PUMP_EVENTS = ['timeupdate', 'progress', 'loadedmetadata', ...READY_EVENTS] as const;

/**
 * Plays one pack in a <video>: opens it, keeps the buffer filled around the playhead, tries again what fails.
 *
 * What can't be got is no error before the playhead is there. One engine is for one source: after `stop`, make another.
 */
export class Engine {
  private readonly loader: LoaderPort;
  private readonly media: MediaSource;
  private readonly mediaUrl: string;
  private readonly retries = new RetryPolicy();
  private readonly window = new BufferWindow();
  private readonly attached = new AbortController();
  /** Chunks that are tried again right now. */
  private readonly troubled = new Set<number>();
  private generation = 1;
  private plan: Plan | null = null;
  private init: ArrayBuffer | null = null;
  private buffer: MediaBuffer | null = null;
  private wanted: Wanted[] = [];
  /** The last chunk that was appended. */
  private last: number | null = null;
  private runFirst: number | null = null;
  private isPumping = false;
  private hasPlayed = false;
  /** The chunk that was appended again, because the browser had removed it: once is enough. */
  private refilled: number | null = null;
  /** What stays away in spite of all attempts. */
  private given: { record: number; failure: ChunkFailure } | null = null;
  private rounds = 0;
  private cancelTimer: Cancel = () => undefined;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly deps: EngineDeps,
    /** Where the film will begin, in seconds. */
    private readonly startAt: number,
  ) {
    const Source = mediaSourceClass();
    if (!Source) throw new Error('this browser has no MediaSource');
    this.media = new Source();
    this.loader = deps.createLoader();
    this.loader.onmessage = ({ data }) => this.take(data);
    this.mediaUrl = URL.createObjectURL(this.media);
  }

  start(): void {
    const { signal } = this.attached;
    const on = (type: string, listener: () => void) =>
      this.video.addEventListener(type, listener, { signal });
    for (const type of PUMP_EVENTS) on(type, () => void this.pump());
    for (const type of READY_EVENTS) on(type, () => this.settle());
    on('seeking', () => this.seek());
    on('playing', () => {
      this.hasPlayed = true;
    });
    on('waiting', () => {
      if (!this.video.seeking) this.deps.status.emit('starved');
      this.settle();
    });
    window.addEventListener('online', () => this.tryAnew(), { signal });
    this.media.addEventListener('sourceopen', () => void this.begin(), { signal });
    // A managed source opens only if the film can't go to another device, where no key is.
    this.video.disableRemotePlayback = true;
    this.video.src = this.mediaUrl;
    this.deps.status.emit('open');
    void this.open();
  }

  stop(): void {
    this.attached.abort();
    this.cancelTimer();
    this.loader.terminate();
    URL.revokeObjectURL(this.mediaUrl);
    this.wanted = [];
  }

  /** Ends playback for good, as when the watermark was removed. */
  refuse(cause: Cause): void {
    this.finish('refused', cause);
  }

  /** Ends playback, because the licence allows nothing now. */
  expire(cause: 'clock' | null): void {
    this.finish('expired', cause);
  }

  private finish(event: 'refused' | 'expired', cause: Cause | null): void {
    if (this.attached.signal.aborted) return;
    this.stop();
    this.video.pause();
    this.deps.status.emit(event, cause);
  }

  /** Where a damaged chunk ends, in seconds: the first place where the film goes on. */
  get beyondDamage(): number | null {
    const record = this.given?.failure.kind === 'damaged' ? this.given.record : HEADER;
    if (!this.plan || record === HEADER) return null;
    let after = record + 1;
    while (after < this.plan.keyFrames.length && !this.plan.keyFrames[after]) after += 1;
    return after < this.plan.keyFrames.length ? (this.plan.starts[after] ?? null) : null;
  }

  private async open(): Promise<void> {
    try {
      const isRetry = this.retries.isRetry(HEADER);
      const license = await this.deps.license(isRetry);
      if (this.attached.signal.aborted) return;
      const request = { generation: this.generation, url: this.deps.url(), isRetry, ...license };
      this.loader.postMessage({ type: 'open', ...request });
    } catch (error) {
      if (error instanceof SessionOverError || this.attached.signal.aborted) return;
      if (error instanceof LicenceOverError) this.expire(error.cause);
      else if (isPassing(error)) this.failed(HEADER, { kind: 'network', retryAfterSec: null });
      else this.refuse('key');
    }
  }

  private take(message: FromWorker): void {
    if (message.generation !== this.generation || this.attached.signal.aborted) return;
    switch (message.type) {
      case 'key':
        this.deps.status.emit('key');
        break;
      case 'opened':
        this.arrived(HEADER);
        this.plan = message.plan;
        this.init = message.init;
        // Before the element can say where it begins: a round trip sooner.
        this.want(entryChunkAt(this.plan, this.startAt));
        void this.begin();
        break;
      case 'received':
        this.deps.status.emit('received');
        break;
      case 'chunk': {
        this.arrived(message.record);
        const wanted = this.wanted.find(({ record }) => record === message.record);
        if (wanted) wanted.data = message.data;
        void this.pump();
        break;
      }
      case 'failed':
        this.failed(message.record, message.failure);
        break;
      case 'refused':
        this.refuse(message.fault === 'wrong-scope' ? 'scope' : 'key');
        break;
    }
  }

  /** Once the media source is open and the header is there, in whichever order. */
  private async begin(): Promise<void> {
    const { plan, init, media } = this;
    if (!plan || !init || this.buffer || media.readyState !== 'open') return;
    if (!canPlayType(plan.mimeType)) {
      this.refuse('codec');
      return;
    }
    this.buffer = new MediaBuffer(media.addSourceBuffer(plan.mimeType));
    media.duration = durationOf(plan);
    // `loadedmetadata` follows, and with it the position to begin at; then comes the first chunk.
    await this.buffer.append(init).catch(() => undefined);
  }

  private seek(): void {
    this.deps.status.emit('seek');
    const { plan, buffer, run } = this;
    if (!plan || !buffer) return;
    const time = this.video.currentTime;
    const next = nextRecord(plan, time, buffer.ranges, run, this.window.aheadSec);
    const isElsewhere = run !== null && next !== null && next !== run.last + 1;
    // What is waited for lies before the key frame from which the film can go on.
    const isBehind = (this.wanted[0]?.record ?? Infinity) < entryChunkAt(plan, time);
    if (this.given || isElsewhere || (isBehind && !rangeAt(buffer.ranges, time))) this.jump();
    void this.pump();
  }

  /** What was asked for since the last jump. */
  private get run(): Run | null {
    const last = this.wanted.at(-1)?.record ?? this.last;
    return last === null || this.runFirst === null ? null : { first: this.runFirst, last };
  }

  /** Forgets what was asked for: another place is wanted now. */
  private jump(): void {
    this.generation += 1;
    this.loader.postMessage({ type: 'cancel', generation: this.generation });
    this.wanted = [];
    this.last = null;
    this.runFirst = null;
    this.given = null;
    this.rounds = 0;
    this.retries.reset();
    this.troubled.clear();
    this.cancelTimer();
  }

  /** Brings the buffer one step nearer to what it should be, until there is nothing to do. */
  private async pump(): Promise<void> {
    if (this.isPumping || this.video.readyState === HTMLMediaElement.HAVE_NOTHING) return;
    this.isPumping = true;
    try {
      while (!this.attached.signal.aborted && (await this.step())) this.settle();
    } catch {
      // The element reports what it can't decode, and the player shows it.
    } finally {
      this.isPumping = false;
    }
    this.end();
  }

  /** Returns whether the buffer was changed. */
  private async step(): Promise<boolean> {
    const { plan, buffer } = this;
    if (!plan || !buffer || buffer.isBusy || this.video.error) return false;
    this.ask(plan, buffer);
    const excess = this.window.excess(this.video.currentTime, buffer.ranges);
    if (excess) {
      await buffer.remove(excess);
      return true;
    }
    const first = this.wanted[0];
    if (!first) return this.leaveGap(plan, buffer);
    if (!first.data) return false;
    if (await buffer.append(first.data)) {
      // A seek in the meantime has emptied the list.
      if (this.wanted[0] === first) {
        this.wanted.shift();
        this.last = first.record;
      }
      return true;
    }
    const removable = this.window.shrink(this.video.currentTime, buffer.ranges);
    if (removable) await buffer.remove(removable);
    return removable !== null;
  }

  /** Asks for the chunks that should come next; the second one while the first is decrypted. */
  private ask(plan: Plan, buffer: MediaBuffer): void {
    if (this.given) return;
    const isOnTheWay = this.wanted.some(({ data }) => data === null);
    if (isOnTheWay || this.wanted.length > 1) return;
    const { run } = this;
    const next = nextRecord(plan, this.video.currentTime, buffer.ranges, run, this.window.aheadSec);
    if (next === null) return;
    if (run !== null && next !== run.last + 1) this.jump();
    this.want(next);
  }

  private want(record: number): void {
    this.runFirst ??= record;
    this.wanted.push({ record, data: null });
    this.request(record, this.deps.url());
  }

  private request(record: number, url: string): void {
    const isRetry = this.retries.isRetry(record);
    if (record === HEADER) void this.open();
    else this.loader.postMessage({ type: 'chunk', generation: this.generation, url, record, isRetry });
  }

  /** All around the playhead was appended, and it is in no range: the film has a gap there, or the browser made one. */
  private leaveGap(plan: Plan, buffer: MediaBuffer): boolean {
    const { video, last } = this;
    const { ranges } = buffer;
    if (last === null || video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA) return false;
    if (rangeAt(ranges, video.currentTime) || isComplete(plan, video.currentTime, ranges, last)) return false;
    const beyond = beyondGap(plan, video.currentTime, ranges, last);
    if (beyond !== null) {
      video.currentTime = beyond;
    } else if (this.refilled !== chunkAt(plan, video.currentTime)) {
      this.refilled = chunkAt(plan, video.currentTime);
      this.last = null;
      this.runFirst = null;
      return true;
    }
    return false;
  }

  private end(): void {
    const { plan, buffer, media } = this;
    if (!plan || !buffer || buffer.isBusy || media.readyState !== 'open' || this.wanted.length > 0) return;
    if (isComplete(plan, this.video.currentTime, buffer.ranges, this.last)) media.endOfStream();
  }

  private arrived(record: number): void {
    this.retries.arrived(record);
    this.troubled.delete(record);
    this.given = null;
    this.rounds = 0;
    this.settle();
  }

  private failed(record: number, failure: ChunkFailure): void {
    const verdict = this.retries.failed(record, failure);
    if (!verdict.retry) {
      this.giveUp(record, failure);
      return;
    }
    this.troubled.add(record);
    this.deps.status.emit('trouble', failure.kind);
    const { generation } = this;
    const isOutdated = () => generation !== this.generation || this.attached.signal.aborted;
    this.later(verdict.delayMs, async () => {
      try {
        const url = failure.kind === 'ticket' ? await this.deps.renew() : this.deps.url();
        if (!isOutdated()) this.request(record, url);
      } catch (error) {
        // The owner of the session shows its end to the viewer.
        if (error instanceof SessionOverError || isOutdated()) return;
        this.failed(record, { kind: 'network', retryAfterSec: null });
      }
    });
  }

  private giveUp(record: number, failure: ChunkFailure): void {
    this.troubled.delete(record);
    this.given = { record, failure };
    if (failure.kind !== 'damaged') {
      this.rounds += 1;
      const after = failure.kind === 'network' ? failure.retryAfterSec : null;
      this.later(retryDelayMs(this.rounds, after, Math.random()), async () => this.tryAnew());
    }
    this.settle();
  }

  /** Asks once more for what stayed away; damaged chunks are damaged for good. */
  private tryAnew(): void {
    const { given } = this;
    if (!given || given.failure.kind === 'damaged') return;
    this.given = null;
    this.retries.reset();
    this.request(given.record, this.deps.url());
  }

  private later(delayMs: number, task: () => Promise<void>): void {
    this.cancelTimer();
    if (delayMs === 0) void task();
    else this.cancelTimer = backgroundTimers.later(delayMs, () => void task());
  }

  /** Whether nothing is left to play before a record: a slow decoder is waited for. */
  private isReached(record: number): boolean {
    if (record === HEADER || !this.buffer) return true;
    return this.wanted[0]?.record === record && isAtEnd(this.buffer.ranges, this.video.currentTime);
  }

  /** Tells the state what the element can do now. */
  private settle(): void {
    const { video, given, deps } = this;
    if (this.attached.signal.aborted || this.troubled.size > 0) return;
    const canPlay = !video.seeking && video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA;
    if (canPlay || video.ended) {
      deps.status.emit('playable');
      if (!video.paused) deps.status.emit('play');
      else if (this.hasPlayed) deps.status.emit('pause');
    } else if (given && this.isReached(given.record)) {
      if (given.failure.kind === 'damaged') this.refuse('damaged');
      else deps.status.emit('unreachable', given.failure.kind);
    }
  }
}
