import type { TitleChoice, TitleProposal } from '../../api/films';
import { adminCodeText } from '../../i18n/admin';

/** Returns the ids that an address lists, each once. */
export const idsOf = (text: string): string[] => [...new Set(text.split(',').filter(Boolean))];

interface State {
  template: string;
  series_id: string;
  ids: string;
}

/** Returns what the address asks for; null while something is missing. A series counts before selected videos. */
export function choiceOf({ template, series_id, ids }: State): TitleChoice | null {
  if (template === '') return null;
  if (series_id !== '') return { template, series_id };
  const video_ids = idsOf(ids);
  return video_ids.length > 0 ? { template, video_ids } : null;
}

/** Returns the proposals that change a title. */
export const changedOf = (items: readonly TitleProposal[]): TitleProposal[] =>
  items.filter(({ before, after }) => after !== null && after !== before);

/** Names a field of a template. */
export const fieldName = (field: string): string => adminCodeText('titles.field', field);
