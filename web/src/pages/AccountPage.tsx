import { useState } from 'preact/hooks';
import { getPoints } from '../api/me';
import type { User } from '../api/types';
import { PageHeading } from '../components/PageHeading';
import { useLoad, usePageTitle } from '../lib/hooks';
import '../styles/account.css';
import { v } from '../i18n/viewer';
import { AppearancePanel } from './account/AppearancePanel';
import { DevicePanel } from './account/DevicePanel';
import { LeavePanel } from './account/LeavePanel';
import { LoginsPanel } from './account/LoginsPanel';
import { NamePanel } from './account/NamePanel';
import { PasswordPanel } from './account/PasswordPanel';
import { PointsPanel } from './account/PointsPanel';
import { WatchingPanel } from './account/WatchingPanel';

export default function AccountPage({ user }: { user: User }) {
  usePageTitle(v('account.title'));
  const [points, reloadPoints] = useLoad((signal) => getPoints(1, { signal }), []);
  const [passwords, setPasswords] = useState(0);
  return (
    <div class="page account">
      <PageHeading>{v('account.title')}</PageHeading>
      <div class="account-columns">
        <div>
          <NamePanel user={user} />
          <PasswordPanel user={user} onChanged={() => setPasswords(passwords + 1)} />
          <PointsPanel points={points} reload={reloadPoints} />
          <AppearancePanel />
        </div>
        <div>
          <WatchingPanel />
          <LoginsPanel round={passwords} />
          <DevicePanel />
          <LeavePanel user={user} points={points.data?.balance ?? null} />
        </div>
      </div>
    </div>
  );
}
