import { type Account, addressOf, answer, id } from './admin';
import { api } from './index';
import type { PointEntry } from './me';
import type { Page } from './types';

/** A line of a ledger, with the administrator who made it. */
export interface AuditedEntry extends PointEntry {
  adjusted_by: string | null;
}

export type AuditedLedger = Page<AuditedEntry> & { balance: number };

export const getPointsOf = (
  userId: string,
  page: number,
  pageSize: number,
  options: { signal?: AbortSignal } = {},
): Promise<AuditedLedger> =>
  api.json(addressOf(`/api/admin/points/${id(userId)}`, { page, page_size: pageSize }), options);

/** Adds points, or takes some away; the user sees the reason. */
export const adjustPoints = (userId: string, points: number, reason: string): Promise<AuditedEntry> =>
  answer('POST', `/api/admin/points/${id(userId)}/adjustments`, { points, reason });

export const getAccount = (userId: string, options: { signal?: AbortSignal } = {}): Promise<Account> =>
  api.json(`/api/users/${id(userId)}`, options);
