import { afterEach, describe, expect, it } from 'vitest';
import { setLanguage } from '../src/i18n';
import { failureText, healthText, partText, sourceText } from '../src/i18n/codeText';

afterEach(() => setLanguage('en'));

describe('texts of server codes', () => {
  it('follows the language', () => {
    const failed = { failure_code: 'NOT_A_VIDEO', failure_reason: 'This is not a video file.' };
    const texts = () => [failureText(failed), healthText('healthy'), partText('database'), sourceText('nas')];
    setLanguage('ko');
    expect(texts()).toEqual([
      '이름과 달리 영상 파일이 아닙니다. MP4, MOV, WebM 또는 MKV 파일을 업로드해 주세요.',
      '정상',
      '데이터베이스',
      '미디어 저장소',
    ]);
    setLanguage('en');
    expect(texts()[1]).toBe('healthy');
  });

  it('leaves unknown codes unchanged', () => {
    expect(healthText('on_fire')).toBe('on_fire');
    expect(sourceText('toString')).toBe('toString');
    expect(failureText({ failure_code: 'NEW_ONE', failure_reason: 'It rained.' })).toBe('It rained.');
    expect(failureText({ failure_code: null, failure_reason: null })).toBe('No reason was given.');
  });
});
