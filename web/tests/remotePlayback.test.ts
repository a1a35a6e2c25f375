import { beforeEach, describe, expect, it } from 'vitest';
import { type RemoteState, watchRemote } from '../src/player/remotePlayback';

class Remote extends EventTarget {
  state = 'disconnected';
  refusal: DOMException | null = null;
  cancelled: number[] = [];
  note: (available: boolean) => void = () => undefined;
  async watchAvailability(note: (available: boolean) => void): Promise<number> {
    if (this.refusal) throw this.refusal;
    this.note = note;
    return 5;
  }
  async cancelWatchAvailability(id: number) {
    this.cancelled.push(id);
  }
  become(state: string, type: string) {
    this.state = state;
    this.dispatchEvent(new Event(type));
  }
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

describe('devices that films can be sent to', () => {
  let remote: Remote;
  let states: RemoteState[];
  const watch = () =>
    watchRemote({ remote } as unknown as HTMLVideoElement, (state) => {
      states.push(state);
    });
  beforeEach(() => {
    remote = new Remote();
    states = [];
  });

  it('are offered while there are some', async () => {
    watch();
    await settled();
    remote.note(true);
    remote.note(false);
    expect(states).toEqual(['available', 'none']);
  });

  it('are known while they play', async () => {
    watch();
    remote.note(true);
    remote.become('connecting', 'connecting');
    remote.become('connected', 'connect');
    remote.become('disconnected', 'disconnect');
    expect(states).toEqual(['available', 'connected', 'connected', 'available']);
  });

  it('may be there where the browser only looks when it is asked to', async () => {
    remote.refusal = new DOMException('', 'NotSupportedError');
    watch();
    await settled();
    expect(states).toEqual(['available']);
    remote.refusal = new DOMException('', 'InvalidStateError');
    watch();
    await settled();
    expect(states.at(-1)).toBe('none');
  });

  it('are not watched any more when the button is gone', async () => {
    const stop = watch();
    await settled();
    stop();
    await settled();
    remote.note(true);
    expect(remote.cancelled).toEqual([5]);
    expect(states).toEqual([]);
  });

  it('do not exist for a browser without them', () => {
    const stop = watchRemote({} as HTMLVideoElement, (state) => states.push(state));
    stop();
    expect(states).toEqual([]);
  });
});
