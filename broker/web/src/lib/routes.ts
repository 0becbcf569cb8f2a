// Every page there is, who finds it in the rail, and how it is loaded.
import type { Component } from 'svelte';
import Inbox from '@lucide/svelte/icons/inbox';
import Activity from '@lucide/svelte/icons/activity';
import Scan from '@lucide/svelte/icons/scan';
import ClipboardList from '@lucide/svelte/icons/clipboard-list';
import Timer from '@lucide/svelte/icons/timer';
import Film from '@lucide/svelte/icons/film';
import ScrollText from '@lucide/svelte/icons/scroll-text';
import CircleUser from '@lucide/svelte/icons/circle-user';
import { places } from './protocols';
import type { Role } from './types';

type Page = () => Promise<{ default: Component<any> }>;

export interface Route {
  path: string;
  page: Page;
  /** Takes the whole window: no rail. */
  bare?: boolean;
  /** Shown to people who are not signed in. */
  open?: boolean;
}

export const routes: Route[] = [
  { path: '/signin', page: () => import('../pages/SignIn.svelte'), bare: true, open: true },
  { path: '/done/:flow', page: () => import('../pages/Done.svelte'), bare: true, open: true },
  { path: '/assets', page: () => import('../pages/Assets.svelte') },
  { path: '/assets/:site/:name', page: () => import('../pages/AskAccess.svelte') },
  { path: '/assets/:name', page: () => import('../pages/ShortName.svelte') },
  { path: '/requests', page: () => import('../pages/Requests.svelte') },
  { path: '/requests/:id', page: () => import('../pages/RequestPage.svelte') },
  { path: '/inbox', page: () => import('../pages/Inbox.svelte') },
  { path: '/live', page: () => import('../pages/Live.svelte') },
  { path: '/sessions', page: () => import('../pages/Sessions.svelte') },
  { path: '/sessions/:id', page: () => import('../pages/SessionPage.svelte') },
  { path: '/watch/:id', page: () => import('../pages/Watch.svelte'), bare: true },
  { path: '/engineers', page: () => import('../pages/Engineers.svelte') },
  ...places.map(({ place, page }) => ({ path: `/${place}/:site/:asset/:service`, page, bare: true })),
  ...places.map(({ place }) => ({ path: `/${place}/:name/:service`, page: () => import('../pages/ShortName.svelte') })),
  { path: '/recordings', page: () => import('../pages/Recordings.svelte') },
  { path: '/recordings/:id', page: () => import('../pages/Player.svelte') },
  { path: '/audit', page: () => import('../pages/Audit.svelte') },
  { path: '/account', page: () => import('../pages/Account.svelte') },
];

export interface RailItem {
  path: string;
  word: string;
  icon: Component<any>;
}

/** What stands in the rail; at most five fit a phone. */
export function rail(roles: Role[]): RailItem[] {
  const items: RailItem[] = [];
  if (roles.includes('engineer')) {
    items.push({ path: '/assets', word: 'Assets', icon: Scan });
    items.push({ path: '/requests', word: 'Requests', icon: ClipboardList });
  }
  if (roles.includes('approver')) {
    items.push({ path: '/inbox', word: 'Inbox', icon: Inbox });
    items.push({ path: '/live', word: 'Live', icon: Activity });
  }
  if (!roles.includes('approver')) items.push({ path: '/sessions', word: 'Sessions', icon: Timer });
  items.push({ path: '/recordings', word: 'Recordings', icon: Film });
  if (roles.includes('auditor') || roles.includes('approver')) items.push({ path: '/audit', word: 'Audit', icon: ScrollText });
  items.push({ path: '/account', word: 'You', icon: CircleUser });
  return items;
}
