import type { Range } from './plan';

/** A SourceBuffer whose changes can be awaited. One change at a time: ask `isBusy` first. */
export class MediaBuffer {
  private busy = false;

  constructor(private readonly buffer: SourceBuffer) {}

  get isBusy(): boolean {
    return this.busy;
  }

  get ranges(): Range[] {
    const { buffered } = this.buffer;
    return Array.from({ length: buffered.length }, (_, at) => ({
      start: buffered.start(at),
      end: buffered.end(at),
    }));
  }

  /** Returns false if the browser has no room. Throws if the bytes can't be played. */
  async append(data: ArrayBuffer): Promise<boolean> {
    try {
      await this.change(() => this.buffer.appendBuffer(data));
      return true;
    } catch (error) {
      if (error instanceof DOMException && error.name === 'QuotaExceededError') return false;
      throw error;
    }
  }

  async remove({ start, end }: Range): Promise<void> {
    if (end > start) await this.change(() => this.buffer.remove(start, end));
  }

  private change(begin: () => void): Promise<void> {
    this.busy = true;
    return new Promise<void>((resolve, reject) => {
      const settle = ({ type }: Event) => {
        if (type === 'error') reject(new DOMException('the bytes can’t be played', 'EncodingError'));
        if (type !== 'updateend') return;
        this.buffer.removeEventListener('updateend', settle);
        this.buffer.removeEventListener('error', settle);
        resolve();
      };
      this.buffer.addEventListener('updateend', settle);
      this.buffer.addEventListener('error', settle);
      try {
        begin();
      } catch (error) {
        this.buffer.removeEventListener('updateend', settle);
        this.buffer.removeEventListener('error', settle);
        reject(error);
      }
    }).finally(() => {
      this.busy = false;
    });
  }
}
