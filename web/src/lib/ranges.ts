/** A range of a film, in seconds, that a link asks to play. */
export interface Range {
  from: number;
  /** Null plays on to the end. */
  until: number | null;
}

/** `?t=90&until=120` → 90 to 120; null when no sensible start is asked for. */
export function parseRange(query: Record<string, string>): Range | null {
  const from = seconds(query.t);
  if (from === null) return null;
  const until = seconds(query.until);
  return { from, until: until !== null && until > from ? until : null };
}

/** The link that plays a range of a film, to the millisecond. */
export function rangeLink(videoId: string, from: number, until: number | null = null): string {
  const end = until === null ? '' : `&until=${rounded(until)}`;
  return `/watch/${encodeURIComponent(videoId)}?t=${rounded(from)}${end}`;
}

// `parseRange` takes neither exponents nor endless fractions.
const rounded = (seconds: number): number => Math.round(seconds * 1000) / 1000;

function seconds(text: string | undefined): number | null {
  if (!text || !/^\d{1,7}(\.\d{1,6})?$/.test(text)) return null;
  return Number(text);
}
