import { useState } from 'preact/hooks';
import { getVideo } from '../../api/endpoints';
import { isMissing } from '../../api/errors';
import { type DeviceLicence, listDeviceLicences, revokeLicence } from '../../api/licences';
import { ConfirmDialog } from '../../components/ConfirmDialog';
import { DataTable } from '../../components/DataTable';
import { language } from '../../i18n';
import { adminCodeText, ta } from '../../i18n/admin';
import { formatMoment, formatSince } from '../../lib/format';
import { useLoad } from '../../lib/hooks';
import { pageNumber, useListState } from '../../lib/listState';
import {
  AdminHead,
  Filters,
  ListPages,
  ListStates,
  Notice,
  PAGE_SIZE,
  shortId,
  totalText,
  useAccountNames,
} from './parts';

const SHAPE = { user_id: '', video_id: '', device_id: '', page: '1', cursor: '' } as const;

/** What devices may play without the network. */
export function LicencesPage() {
  const { state, href, show } = useListState('/admin/licences', SHAPE);
  const { user_id, video_id, device_id } = state;
  const [loaded, reload] = useLoad(
    (signal) =>
      listDeviceLicences(
        { user_id, video_id, device_id, page: pageNumber(state.page), page_size: PAGE_SIZE },
        { signal },
      ),
    [JSON.stringify(state)],
  );
  const nameOf = useAccountNames();
  const titleOf = useTitles(loaded.data?.items.map((licence) => licence.video_id) ?? []);
  const [asked, setAsked] = useState<DeviceLicence | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  const words = (licence: DeviceLicence) => ({
    title: titleOf(licence.video_id),
    device: licence.device_name,
  });
  return (
    <>
      <AdminHead title={ta('nav.licences')} count={totalText(loaded.data)} />
      <p class="lead">{ta('licences.intro')}</p>
      <Filters
        state={state}
        onChange={(change) => show(change as Partial<typeof state>)}
        fields={[
          { name: 'user_id', label: ta('licences.userId') },
          { name: 'video_id', label: ta('licences.videoId') },
          { name: 'device_id', label: ta('licences.deviceId') },
        ]}
      />
      <Notice text={said} />
      <ListStates
        loaded={loaded}
        reload={reload}
        isEmpty={loaded.data?.items.length === 0}
        isFiltered={Boolean(user_id || video_id || device_id)}
        empty={ta('licences.empty')}
      >
        <DataTable
          caption={ta('nav.licences')}
          rows={loaded.data?.items}
          rowId={({ id }) => id}
          isLoading={loaded.phase === 'loading'}
          columns={[
            {
              key: 'film',
              label: ta('licences.film'),
              cell: ({ video_id: video }) => (
                <a class="clipped" href={href({ video_id: video })} title={titleOf(video)}>
                  {titleOf(video)}
                </a>
              ),
            },
            {
              key: 'device',
              label: ta('licences.device'),
              cell: ({ device_id: device, device_name: name }) => (
                <a
                  class="clipped"
                  href={href({ device_id: device })}
                  title={ta('licences.ofDevice', { name })}
                >
                  {name}
                </a>
              ),
            },
            {
              key: 'user',
              label: ta('streams.who'),
              cell: ({ user_id: user }) => (
                <a class="clipped" href={href({ user_id: user })} title={user}>
                  {nameOf(user)}
                </a>
              ),
            },
            {
              key: 'issued',
              label: ta('licences.issued'),
              class: 'figure',
              cell: ({ issued_at: at }) => formatSince(at, language.value),
            },
            { key: 'state', label: ta('licences.state'), cell: (licence) => <State licence={licence} /> },
          ]}
          actionsLabel={ta('list.actions')}
          actions={(licence) =>
            isInForce(licence, Date.now()) && (
              <button
                type="button"
                class="button button-small button-danger"
                aria-label={ta('licences.revokeOf', words(licence))}
                data-testid="revoke"
                onClick={() => setAsked(licence)}
              >
                {ta('licences.revoke')}
              </button>
            )
          }
          testId="licences-table"
        />
      </ListStates>
      <ListPages page={state.page} data={loaded.data} href={href} />
      {asked && (
        <ConfirmDialog
          title={ta('licences.revokeOf', words(asked))}
          text={ta('licences.revokeText', { time: formatMoment(asked.expires_at, language.value) })}
          submit={ta('licences.revoke')}
          danger
          onSubmit={() => revokeLicence(asked.id)}
          onDone={() => {
            setSaid(ta('licences.revoked', words(asked)));
            setAsked(null);
            reload();
          }}
          onClose={() => setAsked(null)}
        />
      )}
    </>
  );
}

/** Whether a device may still play by a licence; one that has just expired has not ended for the server yet. */
export const isInForce = ({ ended_at, expires_at }: DeviceLicence, now: number): boolean =>
  ended_at === null && Date.parse(expires_at) > now;

function State({ licence }: { licence: DeviceLicence }) {
  const { end_reason: reason, ended_at: ended, expires_at: expires } = licence;
  if (isInForce(licence, Date.now())) {
    return (
      <span class="chip chip-ready" data-testid="licence-state">
        {ta('licences.inForce', { time: formatSince(expires, language.value) })}
      </span>
    );
  }
  return (
    <span class="chip" title={formatMoment(ended ?? expires, language.value)} data-testid="licence-state">
      {reason === null ? ta('licences.expired') : adminCodeText('licences.end', reason)}
    </span>
  );
}

/** Names videos by id, one request each, one after the other; those that are gone by the end of their id. */
function useTitles(ids: readonly string[]): (id: string) => string {
  const wanted = [...new Set(ids)].sort();
  const [loaded] = useLoad(
    async (signal) => {
      const titles = new Map<string, string>();
      for (const id of wanted) {
        const video = await getVideo(id, { signal }).catch((error) => {
          if (isMissing(error)) return null;
          throw error;
        });
        if (video) titles.set(id, video.title);
      }
      return titles;
    },
    [wanted.join()],
  );
  return (id) => loaded.data?.get(id) ?? shortId(id);
}
