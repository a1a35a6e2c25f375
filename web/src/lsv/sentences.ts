import { type Language, language } from '../i18n';
import type { Missing } from './capability';
import type { Status } from './status';

/** The sentences of protected playback, loaded with its player; the Korean ones of states are the specification's. */
const SENTENCES = {
  ko: {
    preparing: '재생 준비 중…',
    seeking: '이동 중…',
    ticket: '연결 갱신 중…',
    network: '네트워크 불안정, 재시도 중',
    damaged: '손상 데이터 복구 중',
    'damaged-for-good': '파일 일부가 손상되었습니다',
    'damaged-for-good.hint':
      '파일을 다시 받아야 합니다. 새로 불러와도 같은 곳에서 멈추면 관리자에게 알려 주세요.',
    scope: '권한 확인 실패 (키 오용)',
    'scope.hint': '이 재생에 쓸 수 없는 키를 받았습니다. 새로 불러와 주세요.',
    key: '재생 키가 이 영상과 맞지 않습니다',
    'key.hint': '영상이 새로 암호화되었을 수 있습니다. 새로 불러와 주세요.',
    codec: '이 브라우저에서 재생할 수 없는 형식입니다',
    'codec.hint': '이 영상의 압축 방식을 지원하는 다른 브라우저에서 열어 주세요.',
    watermark: '워터마크가 가려져 재생을 멈췄습니다',
    'watermark.hint': '화면을 바꾸는 확장 프로그램을 끄고 새로 불러와 주세요.',
    unreachable: '영상을 받지 못했습니다',
    'unreachable.hint': '연결을 확인해 주세요. 계속 자동으로 다시 시도합니다.',
    expired: '다운로드 기간 만료',
    'expired.hint': '인터넷에 연결한 뒤 다시 다운로드해 주세요.',
    clock: '기기의 시계가 맞지 않습니다',
    'clock.hint':
      '시계가 과거로 되돌려져 있어 다운로드한 영상을 재생할 수 없습니다. 날짜와 시간을 맞춰 주세요.',
    reload: '새로 불러오기',
    skip: '손상된 부분 건너뛰기',
    'missing.title': '이 브라우저에서는 보호된 영상을 재생할 수 없습니다',
    'missing.secure-context':
      '암호화된 연결(HTTPS)이 아니어서 브라우저가 해독 기능을 막았습니다. https:// 주소로 열어 주세요.',
    'missing.web-crypto':
      '이 브라우저에는 해독 기능(WebCrypto)이 없습니다. 브라우저를 업데이트하거나 다른 브라우저를 써 주세요.',
    'missing.media-source':
      '이 브라우저에는 조각으로 재생하는 기능(MediaSource)이 없습니다. iPhone은 iOS 17.1 이상이 필요합니다.',
    'missing.worker':
      '이 브라우저에서 백그라운드 작업(Worker)이 막혀 있습니다. 차단 설정을 끄거나 다른 브라우저를 써 주세요.',
  },
  en: {
    preparing: 'Getting ready…',
    seeking: 'Moving…',
    ticket: 'Renewing the connection…',
    network: 'The network is unstable, trying again',
    damaged: 'Recovering damaged data',
    'damaged-for-good': 'A part of the file is damaged',
    'damaged-for-good.hint':
      'It must be fetched again. If it stops here once more, please let an administrator know.',
    scope: 'Permission check failed (key misuse)',
    'scope.hint': 'The key that arrived is not for this kind of playback. Load the film again.',
    key: 'The key does not fit this film',
    'key.hint': 'It may just have been encrypted anew. Load the film again.',
    codec: 'This browser can’t play the film’s format',
    'codec.hint': 'Open it in another browser that supports how the film was compressed.',
    watermark: 'Playback stopped, because the watermark was hidden',
    'watermark.hint': 'Turn off extensions that change the picture, and load the film again.',
    unreachable: 'The film does not arrive',
    'unreachable.hint': 'Check the connection. It is tried again by itself.',
    expired: 'The download period is over',
    'expired.hint': 'Connect to the internet and download the film again.',
    clock: 'The clock of this device is wrong',
    'clock.hint':
      'It was turned back, so that downloads don’t play. Set date and time right, and load the film again.',
    reload: 'Load again',
    skip: 'Skip the damaged part',
    'missing.title': 'This browser can’t play protected films',
    'missing.secure-context':
      'The connection is not encrypted (HTTPS), so the browser blocks decryption. Open the site by its https:// address.',
    'missing.web-crypto': 'This browser has no decryption (WebCrypto). Update it, or use another browser.',
    'missing.media-source':
      'This browser can’t play films in pieces (MediaSource). An iPhone needs iOS 17.1 or newer.',
    'missing.worker':
      'Background work (workers) is blocked in this browser. Lift the block, or use another browser.',
  },
} as const satisfies Record<Language, Record<string, string>>;

export type SentenceKey = keyof (typeof SENTENCES)['ko'];

export function sentence(key: SentenceKey, inLanguage: Language = language.value): string {
  return SENTENCES[inLanguage][key];
}

/** Returns what a browser lacks, and what to do about it. */
export function missingText(missing: Missing): string {
  return `${sentence('missing.title')}. ${sentence(`missing.${missing}`)}`;
}

/** What the viewer reads about a state, or null where the picture says enough. */
export interface Notice {
  icon: string;
  key: SentenceKey;
  /** What to do; with it, the notice takes the place of the picture. */
  hint: SentenceKey | null;
}

const passing = (icon: string, key: SentenceKey): Notice => ({ icon, key, hint: null });
const ending = (icon: string, key: SentenceKey, hint: SentenceKey): Notice => ({ icon, key, hint });

export function noticeOf({ state, cause }: Status): Notice | null {
  switch (state) {
    case 'idle':
    case 'ready':
    case 'playing':
    case 'paused':
      return null;
    case 'requesting-key':
    case 'downloading':
    case 'decrypting':
      return passing('🔄', 'preparing');
    case 'buffering-seek':
      return passing('🔄', 'seeking');
    case 'recovering':
      if (cause === 'ticket') return passing('🔄', 'ticket');
      return cause === 'damaged' ? passing('🔄', 'damaged') : passing('📡', 'network');
    case 'error-retryable':
      return ending('📡', 'unreachable', 'unreachable.hint');
    case 'license-expired':
      return cause === 'clock'
        ? ending('⏰', 'clock', 'clock.hint')
        : ending('⏰', 'expired', 'expired.hint');
    case 'error-fatal':
      if (cause === 'scope' || cause === 'key' || cause === 'codec' || cause === 'watermark') {
        return ending('❌', cause, `${cause}.hint`);
      }
      return ending('❌', 'damaged-for-good', 'damaged-for-good.hint');
  }
}
