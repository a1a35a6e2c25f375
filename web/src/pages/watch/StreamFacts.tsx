import type { StreamInfo } from '../../api/types';
import { t } from '../../i18n';
import { sourceText } from '../../i18n/codeText';
import { formatBitrate, formatBytes } from '../../lib/format';

export function StreamFacts({ info }: { info: StreamInfo }) {
  const { resolution, codecs, bitrate, file_size, source } = info;
  const codecNames = [codecs?.video, codecs?.audio].filter(Boolean).join(' · ');
  const facts: [string, string | null][] = [
    [t('player.resolution'), resolution && `${resolution.width}×${resolution.height}`],
    [t('player.codecs'), codecNames || null],
    [t('player.bitrate'), bitrate ? formatBitrate(bitrate) : null],
    [t('player.size'), file_size ? formatBytes(file_size) : null],
    [t('player.source'), source && sourceText(source)],
  ];
  return (
    <dl class="facts" aria-label={t('player.facts')} data-testid="stream-facts">
      {facts.map(
        ([name, value]) =>
          value && (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}
