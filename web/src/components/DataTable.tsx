import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { t } from '../i18n';
import { withToggled } from '../lib/selection';

export interface Column<Row> {
  key: string;
  label: string;
  cell: (row: Row) => ComponentChildren;
  /** The orders that the header offers, as the address names them. */
  sort?: { ascending: string; descending: string };
  class?: string;
}

export interface Selection<Row> {
  selected: ReadonlySet<string>;
  onChange: (selected: Set<string>) => void;
  /** What a screen reader calls the checkbox of a row, and the one of all. */
  label: (row: Row) => string;
  allLabel: string;
}

interface Props<Row> {
  caption: string;
  /** The first one names the row. */
  columns: readonly Column<Row>[];
  /** Undefined while they are loading for the first time. */
  rows: readonly Row[] | undefined;
  rowId: (row: Row) => string;
  /** Whether newer rows are on their way. */
  isLoading?: boolean;
  sort?: string;
  onSort?: (sort: string) => void;
  selection?: Selection<Row>;
  /** The last cell of each row. */
  actions?: (row: Row) => ComponentChildren;
  actionsLabel?: string;
  testId?: string;
}

const SKELETON_ROWS = [1, 2, 3, 4, 5, 6];

/** A table of things: with an order, a selection and actions where wanted. A row becomes a card on narrow screens. */
export function DataTable<Row>(props: Props<Row>) {
  const { caption, columns, rows, rowId, isLoading = false, selection, actions, testId } = props;
  const anchor = useRef<string | null>(null);
  const isFirstLoad = rows === undefined;
  const frame = useKeptFocus(rows);
  return (
    <div class="table-scroll" ref={frame} tabIndex={-1}>
      <table
        class={isLoading && !isFirstLoad ? 'stacking data-table data-table-stale' : 'stacking data-table'}
        aria-busy={isFirstLoad || isLoading}
        data-testid={testId}
      >
        <caption class="visually-hidden">{isFirstLoad ? t('common.loading') : caption}</caption>
        <thead>
          <tr>
            {selection && (
              <th scope="col" class="select-cell">
                <AllBox rows={rows ?? []} rowId={rowId} selection={selection} />
              </th>
            )}
            {columns.map((column) => (
              <ColumnHeader key={column.key} column={column} sort={props.sort} onSort={props.onSort} />
            ))}
            {actions && (
              <th scope="col">
                <span class="visually-hidden">{props.actionsLabel}</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {isFirstLoad
            ? SKELETON_ROWS.map((row) => (
                <SkeletonRow key={row} cells={columns.length} hasBox={!!selection} />
              ))
            : rows.map((row) => (
                <DataRow key={rowId(row)} {...props} row={row} rows={rows} anchor={anchor} />
              ))}
        </tbody>
      </table>
    </div>
  );
}

/** Keeps the focus on a table when the row that had it is gone, so that a keyboard goes on from there. */
function useKeptFocus(rows: unknown) {
  const frame = useRef<HTMLDivElement>(null);
  const hadFocus = useRef(false);
  useEffect(() => {
    const element = frame.current;
    const enter = () => {
      hadFocus.current = true;
    };
    const leave = (event: FocusEvent) => {
      // An element that is removed loses the focus to nothing.
      if (event.relatedTarget !== null) hadFocus.current = false;
    };
    element?.addEventListener('focusin', enter);
    element?.addEventListener('focusout', leave);
    return () => {
      element?.removeEventListener('focusin', enter);
      element?.removeEventListener('focusout', leave);
    };
  }, []);
  useEffect(() => {
    if (hadFocus.current && document.activeElement === document.body) frame.current?.focus();
  }, [rows]);
  return frame;
}

interface HeaderProps<Row> {
  column: Column<Row>;
  sort: string | undefined;
  onSort: ((sort: string) => void) | undefined;
}

function ColumnHeader<Row>({ column, sort, onSort }: HeaderProps<Row>) {
  const { sort: orders, label } = column;
  if (!orders || !onSort) {
    return (
      <th scope="col" class={column.class}>
        {label}
      </th>
    );
  }
  const direction =
    sort === orders.ascending ? 'ascending' : sort === orders.descending ? 'descending' : 'none';
  return (
    <th scope="col" class={column.class} aria-sort={direction}>
      <button
        type="button"
        class="sort-button"
        onClick={() => onSort(direction === 'ascending' ? orders.descending : orders.ascending)}
      >
        {label}
        <span class="sort-mark" aria-hidden="true">
          {direction === 'ascending' ? '▲' : direction === 'descending' ? '▼' : '▽'}
        </span>
      </button>
    </th>
  );
}

interface BoxProps<Row> {
  rows: readonly Row[];
  rowId: (row: Row) => string;
  selection: Selection<Row>;
}

function AllBox<Row>({ rows, rowId, selection }: BoxProps<Row>) {
  const { selected, onChange } = selection;
  const isAll = rows.length > 0 && rows.every((row) => selected.has(rowId(row)));
  return (
    <input
      type="checkbox"
      aria-label={selection.allLabel}
      checked={isAll}
      disabled={rows.length === 0}
      indeterminate={!isAll && selected.size > 0}
      data-testid="select-all"
      onChange={() => onChange(new Set(isAll ? [] : rows.map(rowId)))}
    />
  );
}

type RowProps<Row> = Omit<Props<Row>, 'rows'> & {
  row: Row;
  rows: readonly Row[];
  anchor: { current: string | null };
};

function DataRow<Row>({ row, rows, columns, rowId, selection, actions, anchor }: RowProps<Row>) {
  const id = rowId(row);
  const isSelected = selection?.selected.has(id) ?? false;
  return (
    <tr class={isSelected ? 'selected' : undefined} data-testid="data-row" data-row-id={id}>
      {selection && (
        <td class="select-cell">
          <RowBox row={row} id={id} ids={rows.map(rowId)} selection={selection} anchor={anchor} />
        </td>
      )}
      {columns.map((column, index) =>
        index === 0 ? (
          <th key={column.key} scope="row" class={column.class}>
            {column.cell(row)}
          </th>
        ) : (
          <td key={column.key} data-label={column.label} class={column.class}>
            {column.cell(row)}
          </td>
        ),
      )}
      {actions && <td class="row-action">{actions(row)}</td>}
    </tr>
  );
}

interface RowBoxProps<Row> {
  row: Row;
  id: string;
  ids: readonly string[];
  selection: Selection<Row>;
  /** The row that was switched last: with Shift, all from there to this one are. */
  anchor: { current: string | null };
}

function RowBox<Row>({ row, id, ids, selection, anchor }: RowBoxProps<Row>) {
  return (
    <input
      type="checkbox"
      aria-label={selection.label(row)}
      checked={selection.selected.has(id)}
      data-testid="select-row"
      onClick={(event) => {
        const from = event.shiftKey ? anchor.current : null;
        anchor.current = id;
        selection.onChange(withToggled(selection.selected, ids, id, from));
      }}
    />
  );
}

function SkeletonRow({ cells, hasBox }: { cells: number; hasBox: boolean }) {
  return (
    <tr class="skeleton">
      {hasBox && <td />}
      {Array.from({ length: cells }, (_, index) => (
        <td key={String(index)}>
          <div class={index === 0 ? 'skeleton-line' : 'skeleton-line short'} />
        </td>
      ))}
    </tr>
  );
}
