import { type Params, translator } from '..';
import { en as enBase } from './en';
import { enFilms, koFilms } from './films';
import { enHouse, koHouse } from './house';
import { ko as koBase } from './ko';
import { enStreams, koStreams } from './streams';

export const en = { ...enBase, ...enFilms, ...enHouse, ...enStreams };
export const ko = { ...koBase, ...koFilms, ...koHouse, ...koStreams };

export type AdminKey = keyof typeof en;

/** Texts of the administration, which only its pages load. */
export const ta: (key: AdminKey, params?: Params) => string = translator<AdminKey>({ ko, en });

const isAdminKey = (key: string): key is AdminKey => Object.hasOwn(en, key);

/** Translates a server's code, such as the status of a job; an unknown one is returned unchanged. */
export function adminCodeText(group: string, code: string): string {
  const key = `${group}.${code}`;
  return isAdminKey(key) ? ta(key) : code;
}

/** Returns the codes of a group that have a text. */
export const codesOf = (group: string): string[] =>
  Object.keys(en)
    .filter((key) => key.startsWith(`${group}.`))
    .map((key) => key.slice(group.length + 1));

/** Returns what helps when a change was refused with a code; '' when the server's message says it all. */
export function adviceText(code: string): string {
  const key = `advice.${code}`;
  return isAdminKey(key) ? ta(key) : '';
}
