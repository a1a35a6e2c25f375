import { type ReadonlySignal, signal } from '@preact/signals';
import { isPassing, retryAfterOf } from '../api/errors';
import { endReason } from '../api/playSessions';
import type { KeyGrant, PlaySessionAnswer, Qoe } from '../api/types';
import type { Cancel } from '../lib/backgroundTimers';
import { retryDelayMs } from '../lib/retry';
import { isLapse, type PlayState, refusalOf } from './state';

export interface PlaySessionDeps {
  start: (insteadOf: string | undefined) => Promise<PlaySessionAnswer>;
  heartbeat: (id: string, ticket: string | null) => Promise<PlaySessionAnswer>;
  /** Ends a session. Must not wait for anything while the page is `closing`. */
  end: (id: string, ticket: string | null, qoe: Qoe | null, how: { closing: boolean }) => void;
  later: (delayMs: number, task: () => void) => Cancel;
  random: () => number;
  isVisible: () => boolean;
}

/** The session is over; `PlaySession.state` says why. */
export class SessionOverError extends Error {
  override name = 'SessionOverError';
}

/**
 * This page's session to play one video: requests it, waits for it in the queue, keeps it alive, ends it.
 *
 * The server never keeps a session that this page does not use: one granted after the page gave up is ended.
 */
export class PlaySession {
  /** Quality of experience since the session began; set by the player. */
  measure: (() => Qoe) | null = null;

  private readonly current = signal<PlayState>({ phase: 'opening' });
  /** The session that the server holds for this page. */
  private live: PlaySessionAnswer | null = null;
  /** Came with the session of this id; no later answer has it. */
  private granted: { id: string; key: KeyGrant } | null = null;
  /** Increased to discard the responses of earlier requests. */
  private round = 0;
  private failures = 0;
  private hasLived = false;
  private cancelTimer: Cancel = () => undefined;
  private beating: Promise<void> | null = null;

  constructor(private readonly deps: PlaySessionDeps) {}

  get state(): ReadonlySignal<PlayState> {
    return this.current;
  }

  /** The newest URL of the film; playback may continue with an older one. */
  get streamUrl(): string | null {
    return this.live?.status === 'active' ? this.live.stream_url : null;
  }

  /** The content key of a protected film, if it came with the session; a session that had to wait asks for it. */
  get key(): KeyGrant | null {
    return this.live && this.granted?.id === this.live.session_id ? this.granted.key : null;
  }

  /** Requests a session, perhaps in place of another one of the same viewer. */
  open(insteadOf?: string): void {
    this.release({ closing: false });
    this.current.value = { phase: 'opening' };
    void this.start(insteadOf);
  }

  /**
   * Ends the session at once, because the next viewer in the queue waits for it. A page that is `closing` shows nothing
   * about it; if the browser keeps the page, it opens another session when it is shown again.
   */
  close({ closing = false, isFinished = false } = {}): void {
    this.release({ closing });
    this.current.value = closing ? { phase: 'opening' } : { phase: 'closed', isFinished };
  }

  /** Called when the viewer returns to a page that was hidden. */
  returned(): void {
    const state = this.current.peek();
    if (state.phase === 'gone' && isLapse(state.reason)) this.open();
  }

  /**
   * Makes sure that the session continues, and returns a fresh URL.
   *
   * Throws `SessionOverError`, or the error of the request if the state of the session is unknown.
   */
  async renew(): Promise<string> {
    await this.beat();
    if (this.streamUrl === null) throw new SessionOverError();
    return this.streamUrl;
  }

  private async start(insteadOf: string | undefined): Promise<void> {
    const { round } = this;
    try {
      const answer = await this.deps.start(insteadOf);
      if (round === this.round) this.take(answer);
      else this.deps.end(answer.session_id, ticketOf(answer), null, { closing: false });
    } catch (error) {
      if (round === this.round) this.wasNotStarted(error, insteadOf);
    }
  }

  private wasNotStarted(error: unknown, insteadOf: string | undefined): void {
    const refusal = refusalOf(error);
    if (refusal) {
      this.current.value = { phase: 'refused', refusal };
    } else if (isPassing(error)) {
      this.current.value = { phase: 'unavailable', error };
      this.schedule(this.nextAttemptMs(error), () => void this.start(insteadOf));
    } else {
      this.current.value = { phase: 'failed', error };
    }
  }

  /** Sends one heartbeat at a time: concurrent callers share it. */
  private beat(): Promise<void> {
    if (this.beating) return this.beating;
    const beating = this.sendHeartbeat().finally(() => {
      if (this.beating === beating) this.beating = null;
    });
    this.beating = beating;
    return beating;
  }

  private async sendHeartbeat(): Promise<void> {
    const { live, round } = this;
    if (!live) return;
    this.cancelTimer();
    try {
      const answer = await this.deps.heartbeat(live.session_id, ticketOf(live));
      if (round !== this.round) return;
      this.hasLived = true;
      this.take(answer);
    } catch (error) {
      if (round !== this.round) return;
      const reason = endReason(error);
      if (reason !== null) {
        this.lose(reason);
        return;
      }
      // Playback continues with its ticket.
      const soon = Math.min(this.nextAttemptMs(error), live.heartbeat_sec * 1000);
      this.schedule(soon, () => this.beatQuietly());
      throw error;
    }
  }

  private beatQuietly(): void {
    this.beat().catch(() => undefined);
  }

  private take(answer: PlaySessionAnswer): void {
    this.live = answer;
    this.failures = 0;
    const key = keyOf(answer);
    if (key) this.granted = { id: answer.session_id, key };
    const known = this.current.peek();
    if (answer.status === 'queued') {
      if (known.phase !== 'queued' || known.position !== answer.position) {
        this.current.value = { phase: 'queued', position: answer.position };
      }
    } else if (known.phase !== 'active' || known.id !== answer.session_id) {
      this.current.value = { phase: 'active', id: answer.session_id };
    }
    const nextSec = answer.status === 'queued' ? answer.retry_after_sec : answer.heartbeat_sec;
    this.schedule(nextSec * 1000, () => this.beatQuietly());
  }

  private lose(reason: string): void {
    const mayGoOn = this.hasLived && isLapse(reason) && this.deps.isVisible();
    this.live = null;
    this.measure = null;
    if (mayGoOn) this.open();
    else this.current.value = { phase: 'gone', reason };
  }

  private release(how: { closing: boolean }): void {
    const { live, measure } = this;
    this.round += 1;
    this.failures = 0;
    this.hasLived = false;
    this.beating = null;
    this.live = null;
    this.measure = null;
    this.cancelTimer();
    if (live) this.deps.end(live.session_id, ticketOf(live), measure?.() ?? null, how);
  }

  private nextAttemptMs(error: unknown): number {
    this.failures += 1;
    return retryDelayMs(this.failures, retryAfterOf(error), this.deps.random());
  }

  private schedule(delayMs: number, task: () => void): void {
    this.cancelTimer();
    this.cancelTimer = this.deps.later(delayMs, task);
  }
}

function ticketOf(answer: PlaySessionAnswer): string | null {
  return answer.status === 'active' ? answer.ticket : null;
}

function keyOf(answer: PlaySessionAnswer): KeyGrant | null {
  if (answer.status !== 'active') return null;
  const { scope, server_public_key, wrapped_key, content_version, watermark = null } = answer;
  if (!scope || !server_public_key || !wrapped_key || content_version == null) return null;
  return { scope, server_public_key, wrapped_key, content_version, watermark };
}
