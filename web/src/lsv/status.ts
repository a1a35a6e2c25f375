import { type ReadonlySignal, signal } from '@preact/signals';
import { next, type PlayerEvent, type PlayerState } from './states';

/** What a state is about, where the specification has a sentence for it. */
export type Cause =
  /** The ticket is over: a fresh one is asked for. */
  | 'ticket'
  | 'network'
  /** A chunk is damaged; as an end: for good. */
  | 'damaged'
  | 'scope'
  /** The key, or the whole pack, is not the right one. */
  | 'key'
  | 'codec'
  | 'watermark'
  /** Of an offline licence: the device's clock was turned back. */
  | 'clock';

export interface Status {
  state: PlayerState;
  cause: Cause | null;
}

/** The state of the player, moved by events alone. */
export class PlayerStatus {
  private readonly current = signal<Status>({ state: 'idle', cause: null });

  get signal(): ReadonlySignal<Status> {
    return this.current;
  }

  get state(): PlayerState {
    return this.current.peek().state;
  }

  emit(event: PlayerEvent, cause: Cause | null = null): void {
    const before = this.current.peek();
    const state = next(before.state, event);
    const isOtherTrouble = event === 'trouble' && state === 'recovering' && cause !== before.cause;
    if (state !== before.state || isOtherTrouble) this.current.value = { state, cause };
  }
}
