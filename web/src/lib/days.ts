import type { Language } from '../i18n';

/** "today", "yesterday", then "Nov 20, 2026": the day of a moment where the viewer is. */
export function formatDay(iso: string, language: Language, now: Date = new Date()): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return '';
  const days = Math.round((startOfDay(now) - startOfDay(date)) / 86_400_000);
  if (days === 0 || days === 1) {
    const text = new Intl.RelativeTimeFormat(language, { numeric: 'auto' }).format(-days, 'day');
    return text.charAt(0).toUpperCase() + text.slice(1);
  }
  return new Intl.DateTimeFormat(language, { dateStyle: 'long' }).format(date);
}

const startOfDay = (date: Date): number =>
  new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();

/** Groups a list that is in order of time by day; the order stays. */
export function byDay<Item>(
  items: readonly Item[],
  timeOf: (item: Item) => string,
  language: Language,
  now: Date = new Date(),
): { day: string; items: Item[] }[] {
  const groups: { day: string; items: Item[] }[] = [];
  for (const item of items) {
    const day = formatDay(timeOf(item), language, now);
    const last = groups.at(-1);
    if (last?.day === day) last.items.push(item);
    else groups.push({ day, items: [item] });
  }
  return groups;
}
