import { t } from '../i18n';

interface Props {
  list: { hasMore: boolean; isLoading: boolean; showMore: () => void };
}

/** Loads the next page of a growing list. */
export function MoreButton({ list }: Props) {
  if (!list.hasMore) return null;
  return (
    <div class="more">
      <button
        type="button"
        class="button"
        aria-disabled={list.isLoading}
        data-testid="load-more"
        onClick={() => {
          // A disabled button would lose the focus.
          if (!list.isLoading) list.showMore();
        }}
      >
        {list.isLoading ? t('common.loading') : t('common.loadMore')}
      </button>
    </div>
  );
}
