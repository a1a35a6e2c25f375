import type { StreamInfo } from '../../api/types';
import { sourceText } from '../../i18n/codeText';
import { p } from '../../i18n/playing';
import { formatBitrate, formatBytes } from '../../lib/format';

export function StreamFacts({ info }: { info: StreamInfo }) {
  const { resolution, codecs, bitrate, file_size, source } = info;
  const codecNames = [codecs?.video, codecs?.audio].filter(Boolean).join(' · ');
  const facts: [string, string | null][] = [
    [p('player.resolution'), resolution && `${resolution.width}×${resolution.height}`],
    [p('player.codecs'), codecNames || null],
    [p('player.bitrate'), bitrate ? formatBitrate(bitrate) : null],
    [p('player.size'), file_size ? formatBytes(file_size) : null],
    [p('player.source'), source && sourceText(source)],
  ];
  return (
    <dl class="facts" aria-label={p('player.facts')} data-testid="stream-facts">
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
