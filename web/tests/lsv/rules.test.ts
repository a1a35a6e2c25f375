import { describe, expect, it } from 'vitest';
import { findMissing, mediaSourceClass } from '../../src/lsv/capability';
import { RetryPolicy } from '../../src/lsv/retry';
import { noticeOf, sentence } from '../../src/lsv/sentences';
import { STATES } from '../../src/lsv/states';
import type { Cause } from '../../src/lsv/status';
import {
  appearanceAt,
  contain,
  coversPicture,
  placeOf,
  strongWatermark,
  watermarkText,
} from '../../src/lsv/watermark';
import { AHEAD_SEC, BEHIND_SEC, BufferWindow } from '../../src/lsv/window';

describe('retries', () => {
  it('are two for a damaged chunk, at once', () => {
    const policy = new RetryPolicy();
    expect(policy.isRetry(4)).toBe(false);
    expect(policy.failed(4, { kind: 'damaged' })).toEqual({ retry: true, delayMs: 0 });
    expect(policy.isRetry(4)).toBe(true);
    expect(policy.failed(4, { kind: 'damaged' })).toEqual({ retry: true, delayMs: 0 });
    expect(policy.failed(4, { kind: 'damaged' })).toEqual({ retry: false });
  });

  it('are counted for each chunk, and anew once it has arrived', () => {
    const policy = new RetryPolicy();
    policy.failed(4, { kind: 'damaged' });
    policy.failed(4, { kind: 'ticket' });
    expect(policy.failed(5, { kind: 'damaged' }).retry).toBe(true);
    policy.arrived(4);
    expect(policy.isRetry(4)).toBe(false);
    expect(policy.failed(4, { kind: 'damaged' }).retry).toBe(true);
  });

  it('give a network time, and a server what it asks for', () => {
    const policy = new RetryPolicy();
    expect(policy.failed(1, { kind: 'network', retryAfterSec: null })).toEqual({ retry: true, delayMs: 500 });
    expect(policy.failed(1, { kind: 'network', retryAfterSec: 7 })).toEqual({ retry: true, delayMs: 7000 });
  });
});

describe('buffer window', () => {
  it('keeps what is near', () => {
    const window = new BufferWindow();
    expect(window.aheadSec).toBe(AHEAD_SEC);
    expect(window.excess(100, [{ start: 75, end: 125 }])).toBeNull();
    expect(window.excess(100, [{ start: 60, end: 125 }])).toEqual({ start: 0, end: 100 - BEHIND_SEC });
  });

  it('removes what lies far ahead, as after a jump back', () => {
    const window = new BufferWindow();
    const excess = window.excess(0, [
      { start: 0, end: 20 },
      { start: 600, end: 630 },
    ]);
    expect(excess).toEqual({ start: AHEAD_SEC + 30, end: 630 });
  });

  it('stays bounded while a film of two hours plays', () => {
    const window = new BufferWindow();
    let start = 0;
    for (let time = 0; time < 7200; time += 1) {
      const excess = window.excess(time, [{ start, end: time + window.aheadSec + 2 }]);
      if (excess) start = excess.end;
      expect(time - start).toBeLessThanOrEqual(BEHIND_SEC + 11);
    }
  });

  it('keeps less when the browser has no more room, until nothing can be removed', () => {
    const window = new BufferWindow();
    const ranges = [{ start: 80, end: 120 }];
    expect(window.shrink(100, ranges)).toEqual({ start: 0, end: 90 });
    expect(window.aheadSec).toBeLessThan(AHEAD_SEC);
    expect(window.shrink(100, [{ start: 90, end: 120 }])).toEqual({ start: 0, end: 95 });
    expect(window.shrink(100, [{ start: 98, end: 120 }])).toBeNull();
    for (let time = 0; time < 20; time += 1) window.shrink(100, ranges);
    expect(window.aheadSec).toBeGreaterThanOrEqual(6);
  });
});

describe('capability', () => {
  const media = class {} as unknown as typeof MediaSource;
  const all = { isSecureContext: true, crypto: { subtle: {} }, MediaSource: media, Worker: class {} };

  it('names the first thing that is missing', () => {
    expect(findMissing(all)).toBeNull();
    expect(findMissing({ ...all, isSecureContext: false, crypto: {} })).toBe('secure-context');
    expect(findMissing({ ...all, crypto: {} })).toBe('web-crypto');
    expect(findMissing({ isSecureContext: true, crypto: { subtle: {} }, Worker: class {} })).toBe(
      'media-source',
    );
    expect(findMissing({ ...all, Worker: undefined })).toBe('worker');
  });

  it('takes the managed media source where there is no other', () => {
    const managed = class {} as unknown as typeof MediaSource;
    expect(mediaSourceClass({ ManagedMediaSource: managed })).toBe(managed);
    expect(mediaSourceClass({ ...all, ManagedMediaSource: managed })).toBe(media);
  });
});

describe('sentences', () => {
  const shown = (state: (typeof STATES)[number], cause: Cause | null) => {
    const notice = noticeOf({ state, cause });
    return notice && `${notice.icon} ${sentence(notice.key, 'ko')}`;
  };

  it('are those of the specification', () => {
    expect(shown('recovering', 'ticket')).toBe('🔄 연결 갱신 중…');
    expect(shown('recovering', 'network')).toBe('📡 네트워크 불안정, 재시도 중');
    expect(shown('recovering', 'damaged')).toBe('🔄 손상 데이터 복구 중');
    expect(shown('error-fatal', 'damaged')).toBe('❌ 파일 일부가 손상되었습니다');
    expect(shown('error-fatal', 'scope')).toBe('❌ 권한 확인 실패 (키 오용)');
    expect(shown('buffering-seek', null)).toBe('🔄 이동 중…');
    expect(shown('license-expired', null)).toBe('⏰ 다운로드 기간 만료');
  });

  it('say what to do wherever playback has ended', () => {
    for (const state of STATES) {
      const isEnd = state.startsWith('error') || state === 'license-expired';
      expect(Boolean(noticeOf({ state, cause: null })?.hint)).toBe(isEnd);
    }
  });
});

describe('watermark', () => {
  const mark = strongWatermark('하나');

  it('appears for a while, again and again', () => {
    expect(appearanceAt(0, mark)).toBe(0);
    expect(appearanceAt(mark.visible_sec, mark)).toBeNull();
    expect(appearanceAt(mark.interval_sec + 1, mark)).toBe(1);
  });

  it('is elsewhere each time, and never at the edge', () => {
    const places = Array.from({ length: 50 }, (_, index) => placeOf(index, 0.3));
    expect(new Set(places.map(({ x, y }) => `${x.toFixed(3)} ${y.toFixed(3)}`)).size).toBe(50);
    for (const { x, y } of places) {
      expect(Math.min(x, y)).toBeGreaterThan(0.05);
      expect(Math.max(x, y)).toBeLessThan(0.95);
    }
  });

  it('has the time', () => {
    expect(watermarkText('하나', new Date(2026, 10, 30, 9, 5))).toBe('하나 · 2026-11-30 09:05');
  });

  it('is over the picture, not beside it', () => {
    expect(contain({ width: 1600, height: 900 }, { width: 1000, height: 900 })).toEqual({
      x: 0,
      y: 168.75,
      width: 1000,
      height: 562.5,
    });
    expect(contain({ width: 0, height: 0 }, { width: 10, height: 20 })).toEqual({
      x: 0,
      y: 0,
      width: 10,
      height: 20,
    });
  });

  it('must be seen over the whole picture', () => {
    const style = {
      display: 'block',
      visibility: 'visible',
      opacity: '1',
      clipPath: 'none',
      transform: 'none',
      filter: 'none',
    };
    const size = { width: 640, height: 360 };
    expect(coversPicture(style, size, size)).toBe(true);
    for (const change of [
      { display: 'none' },
      { visibility: 'hidden' },
      { opacity: '0.5' },
      { clipPath: 'inset(50%)' },
      { transform: 'matrix(0, 0, 0, 0, 0, 0)' },
      { filter: 'opacity(0)' },
    ]) {
      expect(coversPicture({ ...style, ...change }, size, size)).toBe(false);
    }
    expect(coversPicture(style, { width: 1, height: 360 }, size)).toBe(false);
  });
});
