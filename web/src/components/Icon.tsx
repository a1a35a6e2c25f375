const paths = {
  search: 'M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zm4.8 11.3L20 20',
  close: 'M6 6l12 12M18 6L6 18',
  upload: 'M12 16V5m0 0L7.5 9.5M12 5l4.5 4.5M5 19h14',
  film: 'M4 5h16v14H4zM8 5v14M16 5v14M4 9.7h4M4 14.3h4M16 9.7h4M16 14.3h4',
  alert: 'M12 8v5m0 3.2v.1M12 3.5l9 16H3z',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  plus: 'M12 5v14M5 12h14',
  back: 'M19 12H5m0 0l6-6m-6 6l6 6',
  bookmark: 'M6.5 4h11v16L12 15.5 6.5 20z',
  pencil: 'M4 20l1-4L16 5l3 3L8 19zM14 7l3 3',
  restart: 'M4.5 12a7.5 7.5 0 1 0 2.3-5.4M4.5 4.5v4h4',
} as const;

export type IconName = keyof typeof paths;

/** Decorative: the text beside it, or the button's label, gives the meaning. */
export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg
      class="icon"
      viewBox="0 0 24 24"
      width={size}
      height={size}
      fill="none"
      stroke="currentColor"
      stroke-width="1.9"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={paths[name]} />
    </svg>
  );
}

export function PlayIcon({ size = 20 }: { size?: number }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width={size} height={size} fill="currentColor" aria-hidden="true">
      <path d="M8 5.2c0-.9 1-1.5 1.8-1l10 6.8c.7.5.7 1.5 0 2l-10 6.8c-.8.5-1.8 0-1.8-1z" />
    </svg>
  );
}
