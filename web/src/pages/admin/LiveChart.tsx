import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { language } from '../../i18n';
import type { ChartProps } from './LiveCharts';

const HEIGHT = 130;

/** A curve that grows. It takes its colours from the page when it is drawn. */
export function LiveChart({ times, values }: ChartProps) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const made = new uPlot(optionsOf(element), [[], []], element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => plot.current?.setData([[...times], [...values]]), [times, values]);
  return <div ref={frame} />;
}

function optionsOf(element: HTMLElement): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => () => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour('--text-quiet'),
    grid: { stroke: colour('--ink-3'), width: 1 },
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_, __, most) => [0, Math.max(1, most * 1.1)] } },
    axes: [
      {
        ...axis,
        size: 28,
        // As wide as "12:59:59 AM" and some more, so that no two run into each other.
        space: 110,
        values: (_, moments) => {
          const clock = new Intl.DateTimeFormat(language.value, { timeStyle: 'medium' });
          return moments.map((moment) => clock.format(moment * 1000));
        },
      },
      { ...axis, size: 44 },
    ],
    series: [{}, { stroke: colour('--gold'), width: 2, points: { show: false } }],
  };
}
