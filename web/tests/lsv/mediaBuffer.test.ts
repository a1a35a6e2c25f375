import { expect, it } from 'vitest';
import { MediaBuffer } from '../../src/lsv/mediaBuffer';

/** A SourceBuffer that does what it was asked for when the test says so. */
class FakeSourceBuffer extends EventTarget {
  refusal: DOMException | null = null;
  removed: [number, number][] = [];
  buffered = { length: 1, start: () => 2, end: () => 4 };

  appendBuffer(): void {
    if (this.refusal) throw this.refusal;
  }

  remove(start: number, end: number): void {
    this.removed.push([start, end]);
  }

  fire(...types: string[]): void {
    for (const type of types) this.dispatchEvent(new Event(type));
  }
}

function setUp() {
  const source = new FakeSourceBuffer();
  return { source, buffer: new MediaBuffer(source as unknown as SourceBuffer) };
}

const DATA = new ArrayBuffer(1);

it('is busy until the browser is done', async () => {
  const { source, buffer } = setUp();
  const appended = buffer.append(DATA);
  expect(buffer.isBusy).toBe(true);
  source.fire('updateend');
  expect(await appended).toBe(true);
  expect(buffer.isBusy).toBe(false);
  expect(buffer.ranges).toEqual([{ start: 2, end: 4 }]);
});

it('says when there is no room, and can go on', async () => {
  const { source, buffer } = setUp();
  source.refusal = new DOMException('full', 'QuotaExceededError');
  expect(await buffer.append(DATA)).toBe(false);
  expect(buffer.isBusy).toBe(false);
  const removed = buffer.remove({ start: 0, end: 3 });
  source.fire('updateend');
  await removed;
  expect(source.removed).toEqual([[0, 3]]);
});

it('throws when the bytes can’t be played', async () => {
  const { source, buffer } = setUp();
  const appended = buffer.append(DATA);
  source.fire('error', 'updateend');
  await expect(appended).rejects.toThrow('can’t be played');
  expect(buffer.isBusy).toBe(false);
});

it('removes nothing where there is nothing', async () => {
  const { source, buffer } = setUp();
  await buffer.remove({ start: 3, end: 3 });
  expect(source.removed).toEqual([]);
});
