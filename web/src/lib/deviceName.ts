import { t } from '../i18n';
import { storage } from './storage';

const STORAGE_KEY = 'marquee.device_name';
export const MAX_DEVICE_NAME_CHARS = 80;

/** A browser's description of itself. `userAgentData` exists in some browsers, and in secure contexts only. */
export interface BrowserFacts {
  userAgent: string;
  userAgentData?: { brands: readonly { brand: string }[]; platform: string };
}

const BROWSERS: [name: string, pattern: RegExp][] = [
  ['Edge', /\bEdg(?:e|A|iOS)?\//],
  ['Opera', /\bOPR\//],
  ['Samsung Internet', /\bSamsungBrowser\//],
  ['Firefox', /\b(?:Firefox|FxiOS)\//],
  ['Chrome', /\b(?:HeadlessChrome|Chrome|CriOS)\//],
  ['Safari', /\bSafari\//],
];

const SYSTEMS: [name: string, pattern: RegExp][] = [
  ['TV', /\bSmart-?TV\b|\bTizen\b|\bWeb0S\b|\bBRAVIA\b|\bGoogleTV\b/i],
  ['iPhone', /\biPhone\b/],
  ['iPad', /\biPad\b/],
  ['Android', /\bAndroid\b/],
  ['Windows', /\bWindows\b/],
  ['ChromeOS', /\bCrOS\b/],
  ['macOS', /\bMac(?:intosh| OS X)\b/],
  ['Linux', /\bLinux\b/],
];

/** Returns a default name such as "Chromium on Linux", to distinguish devices that have no names yet. */
export function defaultDeviceName({ userAgent, userAgentData }: BrowserFacts): string {
  const brands = (userAgentData?.brands ?? [])
    .map(({ brand }) => brand)
    // Browsers add an invented brand ("Not)A;Brand"), so that sites do not rely on the list.
    .filter((brand) => !/not.*brand/i.test(brand));
  const brand = brands.find((each) => each !== 'Chromium') ?? brands[0];
  const browser = brand?.replace(/^(?:Google|Microsoft) /, '') ?? match(BROWSERS, userAgent);
  const system = userAgentData?.platform || match(SYSTEMS, userAgent);
  if (browser && system) return t('device.default', { browser, system });
  return browser ?? system ?? t('device.unknown');
}

/** Names what sent a `User-Agent`: a browser and its system, or else the program. */
export function nameOfAgent(userAgent: string): string {
  const isBrowser = match(BROWSERS, userAgent) || match(SYSTEMS, userAgent);
  if (isBrowser) return defaultDeviceName({ userAgent });
  return userAgent.trim().split(/[\s/]/, 1)[0] || t('device.unknown');
}

function match(table: [string, RegExp][], text: string): string | undefined {
  return table.find(([, pattern]) => pattern.test(text))?.[0];
}

/** Returns the name that the viewer gave this device; empty when it has its default name. */
export function ownDeviceName(): string {
  return storage.get(STORAGE_KEY) ?? '';
}

export function setOwnDeviceName(name: string): void {
  storage.set(STORAGE_KEY, name.trim().slice(0, MAX_DEVICE_NAME_CHARS));
}

export function deviceName(): string {
  return ownDeviceName() || defaultDeviceName(navigator as BrowserFacts);
}
