import { effect, signal } from '@preact/signals';
import { storage } from '../lib/storage';
import { en } from './en';
import { ko } from './ko';

export type MessageKey = keyof typeof en;
export type Dictionary = Record<MessageKey, string>;
export type Language = 'ko' | 'en';
export type Params = Record<string, string | number>;

const STORAGE_KEY = 'marquee.language';
const dictionaries: Record<Language, Dictionary> = { ko, en };

export function pickLanguage(stored: string | null, preferred: readonly string[]): Language {
  if (stored === 'ko' || stored === 'en') return stored;
  const first = preferred.find((tag) => /^(ko|en)\b/i.test(tag));
  return first?.toLowerCase().startsWith('ko') ? 'ko' : 'en';
}

export function interpolate(template: string, params: Params = {}): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => String(params[name] ?? whole));
}

export const language = signal<Language>(
  pickLanguage(storage.get(STORAGE_KEY), typeof navigator === 'undefined' ? [] : navigator.languages),
);

export function setLanguage(next: Language): void {
  language.value = next;
  storage.set(STORAGE_KEY, next);
}

export function isMessage(key: string): key is MessageKey {
  return Object.hasOwn(en, key);
}

export function t(key: MessageKey, params?: Params): string {
  return interpolate(dictionaries[language.value][key], params);
}

/** Returns a `t` for the messages of pages that are loaded when they are first shown: the home page stays small. */
export function translator<Key extends string>(messages: Record<Language, Record<Key, string>>) {
  return (key: Key, params?: Params) => interpolate(messages[language.value][key], params);
}

/** Keeps `<html lang>` in step, for screen readers, hyphenation and font choice. */
export function bindDocumentLanguage(): void {
  effect(() => {
    document.documentElement.lang = language.value;
  });
}
