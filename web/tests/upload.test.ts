import { describe, expect, it } from 'vitest';
import { TransferRate } from '../src/upload/rate';

describe('TransferRate', () => {
  it('says nothing before there is enough to tell', () => {
    const rate = new TransferRate();
    rate.add(0, 0);
    rate.add(100, 1000);
    expect(rate.bytesPerSecond).toBeNull();
    expect(rate.secondsLeft(5000)).toBeNull();
  });

  it('measures speed and time left', () => {
    const rate = new TransferRate();
    rate.add(0, 0);
    rate.add(1000, 2000);
    expect(rate.bytesPerSecond).toBe(2000);
    expect(rate.secondsLeft(10_000)).toBe(4);
  });

  it('follows the last seconds, not the average of hours', () => {
    const rate = new TransferRate();
    for (let second = 0; second <= 10; second++) rate.add(second * 1000, second * 1000);
    for (let second = 11; second <= 20; second++) rate.add(second * 1000, 10_000 + (second - 10) * 5000);
    expect(rate.bytesPerSecond).toBeCloseTo(5000);
  });

  it('has no end in sight while nothing moves', () => {
    const rate = new TransferRate();
    rate.add(0, 500);
    rate.add(1000, 500);
    expect(rate.secondsLeft(1000)).toBeNull();
  });
});
