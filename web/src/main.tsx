import './styles/base.css';
import './styles/controls.css';
import './styles/header.css';
import './styles/auth.css';
import './styles/home.css';
import './styles/pages.css';
import './styles/sessions.css';
import './styles/theme.css';
import { render } from 'preact';
import { App } from './app';
import { bindDocumentLanguage } from './i18n';
import { bindTheme } from './lib/theme';
import { sendUnsentPositions } from './lib/unsentPositions';
import { keepSessionFresh, loadSession } from './session/session';
import { followUploads } from './upload/processing';
import { warnBeforeLeaving } from './upload/queue';

// The documentation is a page of its own; without its slash, the address lands here.
if (location.pathname === '/docs') location.replace('/docs/');

bindDocumentLanguage();
bindTheme();
warnBeforeLeaving();
followUploads();
keepSessionFresh();
sendUnsentPositions();
void loadSession();

const root = document.getElementById('app');
if (root) render(<App />, root);
