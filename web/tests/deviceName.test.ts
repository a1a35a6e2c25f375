import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { setLanguage } from '../src/i18n';
import { defaultDeviceName, deviceName, ownDeviceName, setOwnDeviceName } from '../src/lib/deviceName';

const LINUX_CHROME =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';

beforeEach(() => {
  const kept = new Map<string, string>();
  vi.stubGlobal('localStorage', {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
  });
  vi.stubGlobal('navigator', { userAgent: LINUX_CHROME, languages: ['en'] });
  setLanguage('en');
});
afterEach(() => vi.unstubAllGlobals());

describe('defaultDeviceName', () => {
  it.each([
    [LINUX_CHROME, 'Chrome on Linux'],
    [`${LINUX_CHROME} Edg/140.0`, 'Edge on Linux'],
    [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0',
      'Firefox on Windows',
    ],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1',
      'Safari on iPhone',
    ],
    ['Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.0 Safari/605.1.15', 'Safari on macOS'],
    [
      'Mozilla/5.0 (Linux; Android 15; SM-S921N) SamsungBrowser/27.0 Chrome/125 Mobile Safari/537.36',
      'Samsung Internet on Android',
    ],
    ['Mozilla/5.0 (SMART-TV; LINUX; Tizen 8.0) Chrome/108.0 TV Safari/537.36', 'Chrome on TV'],
    ['something else', 'Unnamed device'],
  ])('%s', (userAgent, expected) => {
    expect(defaultDeviceName({ userAgent })).toBe(expected);
  });

  it('believes the brands that the browser names, but for the made-up one', () => {
    const named = (...brands: string[]) =>
      defaultDeviceName({
        userAgent: LINUX_CHROME,
        userAgentData: { brands: brands.map((brand) => ({ brand })), platform: 'Linux' },
      });
    expect(named('Not)A;Brand', 'Chromium')).toBe('Chromium on Linux');
    expect(named('Chromium', 'Not;A=Brand', 'Google Chrome')).toBe('Chrome on Linux');
    expect(named('Brave', 'Chromium', 'Not A(Brand')).toBe('Brave on Linux');
    expect(named()).toBe('Chrome on Linux');
  });

  it('speaks the language of the page', () => {
    setLanguage('ko');
    expect(defaultDeviceName({ userAgent: LINUX_CHROME })).toBe('Linux의 Chrome');
  });
});

describe('deviceName', () => {
  it('is the viewer’s own when there is one', () => {
    expect(deviceName()).toBe('Chrome on Linux');
    setOwnDeviceName('  Living room TV ');
    expect(deviceName()).toBe('Living room TV');
    setOwnDeviceName('x'.repeat(200));
    expect(deviceName()).toHaveLength(80);
    setOwnDeviceName(' ');
    expect(ownDeviceName()).toBe('');
    expect(deviceName()).toBe('Chrome on Linux');
  });
});
