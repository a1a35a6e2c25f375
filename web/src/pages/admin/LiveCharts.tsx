import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { loadCode } from '../../components/lazyPage';
import { language } from '../../i18n';
import { ta } from '../../i18n/admin';
import { formatNumber } from '../../lib/format';
import type { Sample } from './samples';

export interface ChartProps {
  /** In seconds since 1970. */
  times: readonly number[];
  values: readonly number[];
}

interface Props {
  samples: readonly Sample[];
}

/** The figures of the last minutes as curves. The library that draws them is loaded when there is something to draw. */
export function LiveCharts({ samples }: Props) {
  const [Chart, setChart] = useState<ComponentType<ChartProps> | null>(null);
  const isWanted = samples.length > 1;
  useEffect(() => {
    if (!isWanted) return;
    let current = true;
    void loadCode(() => import('./LiveChart')).then((code) => {
      if (current && code) setChart(() => code.LiveChart);
    });
    return () => {
      current = false;
    };
  }, [isWanted]);
  const times = samples.map(({ at }) => at / 1000);
  const round = (value: number) => formatNumber(Math.round(value * 10) / 10, language.value);
  const chart = (name: string, values: number[]) => (
    <figure class="live-chart">
      <figcaption>
        {values.length === 0
          ? name
          : ta('charts.now', { name, value: round(values.at(-1) ?? 0), most: round(Math.max(...values)) })}
      </figcaption>
      <div class="live-chart-plot" aria-hidden="true">
        {Chart && <Chart times={times} values={values} />}
      </div>
    </figure>
  );
  return (
    <section class="live-charts" aria-label={ta('charts.title')} data-testid="live-charts">
      {chart(
        ta('charts.streams'),
        samples.map(({ streams }) => streams),
      )}
      {chart(
        ta('charts.bandwidth'),
        samples.map(({ mbps }) => mbps),
      )}
    </section>
  );
}
