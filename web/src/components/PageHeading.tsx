import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';
import { useArrival } from '../lib/arrival';

/** The heading of a page. It gets the focus when the viewer opens the page. */
export function PageHeading({ id, children }: { id?: string; children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useArrival(heading);
  return (
    <h1 ref={heading} id={id} tabIndex={-1}>
      {children}
    </h1>
  );
}
