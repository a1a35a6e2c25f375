import { ta } from '../../i18n/admin';
import { HealthPanel } from './HealthPanel';
import { AdminHead } from './parts';
import { StreamsPanel } from './StreamsPanel';
import { UsersPanel } from './UsersPanel';

/** What happens now. */
export function Dashboard() {
  return (
    <>
      <AdminHead title={ta('admin.title')} />
      <StreamsPanel />
      <div class="admin-layout">
        <UsersPanel />
        <HealthPanel />
      </div>
    </>
  );
}
