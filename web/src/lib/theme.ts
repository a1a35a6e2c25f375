import { effect, signal } from '@preact/signals';
import { storage } from './storage';

export const THEMES = ['dark', 'light', 'system'] as const;
export type Theme = (typeof THEMES)[number];

const STORAGE_KEY = 'marquee.theme';

export function pickTheme(stored: string | null): Theme {
  return THEMES.find((theme) => theme === stored) ?? 'dark';
}

export const theme = signal<Theme>(pickTheme(storage.get(STORAGE_KEY)));

export function setTheme(next: Theme): void {
  theme.value = next;
  storage.set(STORAGE_KEY, next);
}

/** Keeps the page in the chosen theme, and in the device's while that is chosen. */
export function bindTheme(): void {
  const light = window.matchMedia('(prefers-color-scheme: light)');
  const prefersLight = signal(light.matches);
  light.addEventListener('change', () => {
    prefersLight.value = light.matches;
  });
  effect(() => {
    const isLight = theme.value === 'light' || (theme.value === 'system' && prefersLight.value);
    document.documentElement.dataset.theme = isLight ? 'light' : 'dark';
    document
      .querySelector('meta[name=theme-color]')
      ?.setAttribute('content', isLight ? '#faf8f5' : '#0b0a0e');
  });
}
