import type { Highlight } from '../../api/discovery';
import type { HighlightDraft } from '../../api/films';
import { formatClock } from '../../lib/format';
import { tagsOf } from './contentEdit';

/** The fields of the form of a highlight, as texts. */
export interface HighlightForm {
  start: string;
  end: string;
  category: string;
  title: string;
  players: string;
  pot: string;
}

export const EMPTY: HighlightForm = { start: '', end: '', category: '', title: '', players: '', pot: '' };

/** Returns seconds as a text that `secondsOf` reads: "1:02:03", "0:12.5". */
export function timeText(seconds: number): string {
  const tenths = Math.round(seconds * 10);
  const rest = tenths % 10;
  return rest === 0 ? formatClock(tenths / 10) : `${formatClock(Math.floor(tenths / 10))}.${rest}`;
}

/** Reads seconds, m:ss or h:mm:ss; null for anything else. */
export function secondsOf(text: string): number | null {
  const parts = text.trim().split(':');
  if (parts.length > 3 || !parts.every((part, index) => isPart(part, index === parts.length - 1)))
    return null;
  const numbers = parts.map(Number);
  if (numbers.some((number, index) => index > 0 && number >= 60)) return null;
  return numbers.reduce((sum, number) => sum * 60 + number, 0);
}

const isPart = (part: string, isLast: boolean): boolean =>
  (isLast ? /^\d{1,7}(\.\d{1,3})?$/ : /^\d{1,7}$/).test(part);

export const formOf = (highlight: Highlight): HighlightForm => ({
  start: timeText(highlight.start),
  end: timeText(highlight.end),
  category: highlight.category,
  title: highlight.title,
  players: highlight.players.join(', '),
  pot: highlight.pot_size?.toString() ?? '',
});

export type FormProblem = 'highlights.badTimes' | 'highlights.badPot';

/** Returns what a form says, or what is wrong with it; times that it leaves as they were keep their hundredths. */
export function draftOf(form: HighlightForm, before: Highlight | null): HighlightDraft | FormProblem {
  const [start, end] = (['start', 'end'] as const).map((name) =>
    before && form[name] === timeText(before[name]) ? before[name] : secondsOf(form[name]),
  ) as [number | null, number | null];
  if (start === null || end === null || end <= start) return 'highlights.badTimes';
  const pot = form.pot.replaceAll(/[\s,]/g, '');
  const pot_size = pot === '' ? null : Number(pot);
  if (pot_size !== null && !(pot_size > 0 && Number.isFinite(pot_size))) return 'highlights.badPot';
  return {
    start,
    end,
    category: form.category.trim(),
    title: form.title.trim(),
    players: tagsOf(form.players),
    pot_size,
  };
}

const draftOfHighlight = ({ start, end, category, title, players, pot_size }: Highlight): HighlightDraft => ({
  start,
  end,
  category,
  title,
  players,
  pot_size,
});

/** Returns highlights as a file that `draftsOfJson` reads. */
export const jsonOf = (highlights: readonly Highlight[]): string =>
  `${JSON.stringify({ items: highlights.map(draftOfHighlight) }, null, 2)}\n`;

/** Reads highlights from JSON: a list, or an object with `items`; null when it is neither. The server checks the rest. */
export function draftsOfJson(text: string): HighlightDraft[] | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  const items = Array.isArray(parsed) ? parsed : (parsed as { items?: unknown } | null)?.items;
  if (!Array.isArray(items) || !items.every((each) => typeof each === 'object' && each !== null)) return null;
  return items.map((each: Record<string, unknown>) => {
    // What the API adds to a highlight.
    const { id: _id, video_id: _video, created_at: _created, updated_at: _updated, ...draft } = each;
    return draft as unknown as HighlightDraft;
  });
}
