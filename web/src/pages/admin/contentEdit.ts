import type { Content, ContentEdit } from '../../api/admin';

/** The fields of the dialog that edits a video, as texts. */
export interface ContentForm {
  title: string;
  description: string;
  tags: string;
  corporation: string;
  series: string;
  season: string;
  episode: string;
}

export const formOf = (content: Content): ContentForm => ({
  title: content.title,
  description: content.description ?? '',
  tags: content.tags.join(', '),
  corporation: content.corporation_id ?? '',
  series: content.series_id ?? '',
  season: content.season?.toString() ?? '',
  episode: content.episode?.toString() ?? '',
});

/** Returns the tags of a text, each once, in their order. Commas part them, also those of Korean and Japanese keyboards. */
export function tagsOf(text: string): string[] {
  const tags = text.split(/[,，、]/).map((tag) => tag.trim());
  return [...new Set(tags.filter((tag) => tag !== ''))];
}

const numberOf = (text: string): number | null => (text.trim() === '' ? null : Number(text));

/** Returns what a form changes, and nothing that it leaves as it was: another administrator may be changing that. */
export function editOf(content: Content, form: ContentForm): ContentEdit {
  const before = formOf(content);
  const edit: ContentEdit = {};
  if (form.title.trim() !== before.title) edit.title = form.title.trim();
  if (form.description !== before.description) edit.description = form.description;
  if (form.tags !== before.tags) edit.tags = tagsOf(form.tags);
  if (form.corporation !== before.corporation) edit.corporation_id = form.corporation || null;
  if (form.series !== before.series) edit.series_id = form.series || null;
  if (form.series === '') return edit;
  if (form.season.trim() !== before.season) edit.season = numberOf(form.season);
  if (form.episode.trim() !== before.episode) edit.episode = numberOf(form.episode);
  return edit;
}
