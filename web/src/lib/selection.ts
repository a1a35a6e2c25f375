/**
 * Returns a selection after a row was switched on or off. With an anchor, all rows from it to this one get the same
 * state, as a list does with Shift held.
 */
export function withToggled(
  selected: ReadonlySet<string>,
  ids: readonly string[],
  id: string,
  anchor: string | null,
): Set<string> {
  const next = new Set(selected);
  const isOn = !selected.has(id);
  const from = anchor === null ? -1 : ids.indexOf(anchor);
  const to = ids.indexOf(id);
  const range = from < 0 || to < 0 ? [id] : ids.slice(Math.min(from, to), Math.max(from, to) + 1);
  for (const each of range) {
    if (isOn) next.add(each);
    else next.delete(each);
  }
  return next;
}

/** Returns the part of a selection that is still on the page. */
export function stillShown(selected: ReadonlySet<string>, ids: readonly string[]): Set<string> {
  return new Set(ids.filter((id) => selected.has(id)));
}
