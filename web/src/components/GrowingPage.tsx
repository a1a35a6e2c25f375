import type { ComponentChildren, RefObject } from 'preact';
import type { Page } from '../api/types';
import { language } from '../i18n';
import { v } from '../i18n/viewer';
import { formatNumber } from '../lib/format';
import type { GrowingList } from '../lib/growingList';
import { ErrorMessage } from './ErrorMessage';
import { Icon, type IconName } from './Icon';
import { LibraryNav } from './LibraryNav';
import { MediaSkeletons } from './MediaRow';
import { MoreButton } from './MoreButton';
import { PageHeading } from './PageHeading';

interface Props<Item, List extends Page<Item>> {
  title: string;
  list: GrowingList<Item, List>;
  /** Where the focus goes when a line is removed is looked for in it. */
  root: RefObject<HTMLDivElement | null>;
  /** What happened, for screen readers. */
  said: string;
  /** Why the last change failed. */
  problem: unknown;
  empty: { icon: IconName; title: string; hint: string };
  /** What can be done with all of them. */
  actions?: ComponentChildren;
  children: ComponentChildren;
  /** Names the parts for tests. */
  testId: string;
}

/** A page of the viewer's own things, as a list that grows. */
export function GrowingPage<Item, List extends Page<Item>>(props: Props<Item, List>) {
  const { list, said, problem, empty, actions, testId } = props;
  const { items, state } = list;
  return (
    <div class="page library" ref={props.root}>
      <LibraryNav />
      <div class="section-head">
        <PageHeading>{props.title}</PageHeading>
        {list.total > 0 && (
          <>
            <span class="count">{v('list.count', { count: formatNumber(list.total, language.value) })}</span>
            {actions && <div class="section-actions">{actions}</div>}
          </>
        )}
      </div>
      <p class="visually-hidden" role="status" data-testid={`${testId}-status`}>
        {said}
      </p>
      {problem !== null && <ErrorMessage error={problem} />}
      {state.phase === 'failed' && <ErrorMessage error={state.error} onRetry={list.reload} retries />}
      {!items && list.isLoading && <MediaSkeletons />}
      {items?.length === 0 && (
        <div class="empty" data-testid={`${testId}-empty`}>
          <Icon name={empty.icon} size={44} />
          <h2>{empty.title}</h2>
          <p>{empty.hint}</p>
          <a class="button button-primary" href="/">
            {v('list.home')}
          </a>
        </div>
      )}
      <div aria-busy={list.isLoading}>{props.children}</div>
      <MoreButton list={list} />
    </div>
  );
}
