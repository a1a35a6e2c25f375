import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';
import { useArrival } from '../lib/arrival';

/** What a page is about. It gets the focus when the viewer comes to the page. */
export function PageHeading({ id, children }: { id?: string; children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useArrival(heading);
  return (
    <h1 ref={heading} id={id} tabIndex={-1}>
      {children}
    </h1>
  );
}
