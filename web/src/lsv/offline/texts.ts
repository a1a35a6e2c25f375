import { translator } from '../../i18n';

const en = {
  'offline.title': 'Downloads',
  'offline.text': 'Films that you watch without a network, in this browser only.',
  'offline.empty': 'No downloads in this browser',
  'offline.emptyHint': 'Protected films have a download button below their picture.',
  'offline.watch': 'Watch',
  'offline.download': 'Download',
  'offline.pause': 'Pause',
  'offline.resume': 'Resume',
  'offline.renew': 'Renew',
  'offline.remove': 'Delete the download',
  'offline.removeOf': 'Delete the download of {title}',
  'offline.removed': 'The download of {title} was deleted.',
  'offline.renewed': 'It can be watched until {date}.',
  'offline.checking': 'Trying out whether this browser can keep films…',
  'offline.preparing': 'Getting ready…',
  'offline.loading': '{percent}% of {size}',
  'offline.paused': 'Paused at {percent}% of {size}',
  'offline.waiting': 'Waiting for the network, at {percent}%',
  'offline.queued': 'Waiting for a free place on the server',
  'offline.elsewhere': 'It is being downloaded in another tab.',
  'offline.worker':
    'The download was cut short by a fault of this browser. Try again: it goes on where it was.',
  'offline.again': 'Try again',
  'offline.otherViewer': 'Another viewer has logged in. Reload the page.',
  'offline.complete': 'Downloaded, {size}',
  'offline.until': 'Until {date}',
  'offline.expired': 'The download period is over. Connect to the internet and renew it.',
  'offline.expiredAnew': 'The server has ended this download. Renew it, or delete it.',
  'offline.clock': 'The clock of this device was turned back. Set date and time right.',
  'offline.changed': 'The film was encrypted anew: it has to be downloaded again.',
  'offline.refused': 'Too many streams are open at once. Stop one, and resume.',
  'offline.damaged': 'What the server sends is damaged. Try again later.',
  'offline.key': 'The key does not fit this film. Delete the download, and try again.',
  'offline.scope': 'Permission check failed (key misuse).',
  'offline.full': 'This device has no more room. Free some, and resume.',
  'offline.room': 'This browser lacks {size} of room for the film.',
  'offline.wrongBrowser': 'This browser can’t keep films for later.',
  'offline.noNetwork': 'The server can’t be reached right now. What you have downloaded can be watched.',

  'selfTest.make': 'This browser’s encryption does not work.',
  'selfTest.store-key':
    'This browser stores no keys. Private windows and Lockdown Mode don’t allow it: use an ordinary window.',
  'selfTest.read-key':
    'This browser does not give back the key that it stored. Private windows and Lockdown Mode do that: use an ordinary window.',
  'selfTest.store-film':
    'This browser stores no large files, or has no more room. Use an ordinary window, free some space, or update the browser.',
  'selfTest.read-film':
    'This browser does not give back the file that it stored. Free some space, or update the browser.',
  'selfTest.unwrap': 'This browser can’t open the keys of licences. Update it, or use another one.',
  'selfTest.decrypt': 'This browser can’t decrypt what it has stored. Update it, or use another one.',
  'selfTest.worker':
    'Background work (workers) is blocked in this browser. Lift the block, or use another browser.',
};

export type OfflineKey = keyof typeof en;

const ko: Record<OfflineKey, string> = {
  'offline.title': '다운로드',
  'offline.text': '네트워크 없이 볼 수 있는 영상입니다. 이 브라우저에만 있습니다.',
  'offline.empty': '이 브라우저에 다운로드한 영상이 없습니다',
  'offline.emptyHint': '보호된 영상은 화면 아래의 다운로드 버튼으로 받을 수 있습니다.',
  'offline.watch': '보기',
  'offline.download': '다운로드',
  'offline.pause': '일시 정지',
  'offline.resume': '이어 받기',
  'offline.renew': '기간 연장',
  'offline.remove': '다운로드 삭제',
  'offline.removeOf': '다운로드 삭제: {title}',
  'offline.removed': '다운로드를 삭제했습니다: {title}',
  'offline.renewed': '{date}까지 볼 수 있습니다.',
  'offline.checking': '이 브라우저에 영상을 저장할 수 있는지 확인하는 중…',
  'offline.preparing': '준비 중…',
  'offline.loading': '{size} 중 {percent}%',
  'offline.paused': '{size} 중 {percent}%에서 멈춤',
  'offline.waiting': '네트워크를 기다리는 중, {percent}%',
  'offline.queued': '서버에 빈자리가 나기를 기다리는 중',
  'offline.elsewhere': '다른 탭에서 다운로드하고 있습니다.',
  'offline.worker': '브라우저 문제로 다운로드가 끊겼습니다. 다시 시도하면 이어서 받습니다.',
  'offline.again': '다시 시도',
  'offline.otherViewer': '다른 사용자가 로그인했습니다. 페이지를 새로 고쳐 주세요.',
  'offline.complete': '다운로드 완료, {size}',
  'offline.until': '{date}까지',
  'offline.expired': '다운로드 기간이 끝났습니다. 인터넷에 연결한 뒤 연장해 주세요.',
  'offline.expiredAnew': '서버에서 이 다운로드를 끝냈습니다. 기간을 연장하거나 삭제해 주세요.',
  'offline.clock': '기기의 시계가 과거로 되돌려져 있습니다. 날짜와 시간을 맞춰 주세요.',
  'offline.changed': '영상이 새로 암호화되어 다시 다운로드해야 합니다.',
  'offline.refused': '동시에 재생 중인 영상이 너무 많습니다. 하나를 멈추고 이어 받아 주세요.',
  'offline.damaged': '서버가 보낸 데이터가 손상되었습니다. 나중에 다시 시도해 주세요.',
  'offline.key': '재생 키가 이 영상과 맞지 않습니다. 다운로드를 삭제하고 다시 받아 주세요.',
  'offline.scope': '권한 확인 실패 (키 오용).',
  'offline.full': '기기에 남은 공간이 없습니다. 공간을 비우고 이어 받아 주세요.',
  'offline.room': '영상을 저장할 공간이 {size} 모자랍니다.',
  'offline.wrongBrowser': '이 브라우저에는 영상을 저장할 수 없습니다.',
  'offline.noNetwork': '지금은 서버에 연결할 수 없습니다. 다운로드한 영상은 볼 수 있습니다.',

  'selfTest.make': '이 브라우저의 암호화 기능이 동작하지 않습니다.',
  'selfTest.store-key':
    '이 브라우저에 키를 저장할 수 없습니다. 시크릿 창과 차단 모드에서는 저장되지 않으니 일반 창에서 열어 주세요.',
  'selfTest.read-key':
    '저장한 키를 이 브라우저가 돌려주지 않습니다. 시크릿 창과 차단 모드에서 그럴 수 있으니 일반 창에서 열어 주세요.',
  'selfTest.store-film':
    '이 브라우저에 큰 파일을 저장할 수 없거나 공간이 모자랍니다. 일반 창에서 열거나, 공간을 비우거나, 브라우저를 업데이트해 주세요.',
  'selfTest.read-film':
    '저장한 파일을 이 브라우저가 돌려주지 않습니다. 공간을 비우거나 브라우저를 업데이트해 주세요.',
  'selfTest.unwrap':
    '이 브라우저는 다운로드용 키를 풀 수 없습니다. 브라우저를 업데이트하거나 다른 브라우저를 써 주세요.',
  'selfTest.decrypt':
    '이 브라우저는 저장한 영상을 해독할 수 없습니다. 브라우저를 업데이트하거나 다른 브라우저를 써 주세요.',
  'selfTest.worker':
    '이 브라우저에서 백그라운드 작업(Worker)이 막혀 있습니다. 차단 설정을 끄거나 다른 브라우저를 써 주세요.',
};

export const messages = { en, ko };

/** The texts of downloads. */
export const o = translator<OfflineKey>(messages);
