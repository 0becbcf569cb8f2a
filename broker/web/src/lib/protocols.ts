// What this application does with each protocol, in one place. A new one gets an entry
// here, a page to work in and a player; nothing else asks for a protocol by its name.
import type { Component } from 'svelte';
import type { Channel, Protocol } from './types';

type Load = () => Promise<{ default: Component<any> }>;

interface Spoken {
  /** Sorted, as session.Protocol.Channels has them. */
  channels: readonly Channel[];
  /** Where one works on a device, and what that is called: "Open the terminal", /terminal/ASSET/SERVICE. */
  page: Load;
  place: string;
  /** The command that opens it: "sallyport ssh ASSET/SERVICE". */
  command: string;
  /** Shows a recording; it is given the recording, its replay and where to start. */
  player: Load;
}

/** A screen with mouse and keyboard: what differs between its protocols, the agent keeps to itself. */
const console: Spoken = {
  channels: ['clipboard-in', 'clipboard-out', 'control'],
  page: () => import('../pages/Console.svelte'),
  place: 'console',
  command: 'connect',
  player: () => import('../ui/ConsoleReplay.svelte'),
};
const spoken: Record<Protocol, Spoken> = {
  ssh: {
    channels: ['exec', 'files-in', 'files-out', 'shell'],
    page: () => import('../pages/Terminal.svelte'),
    place: 'terminal',
    command: 'ssh',
    player: () => import('../ui/Replay.svelte'),
  },
  vnc: console,
  rdp: console,
};

export const protocols = Object.keys(spoken) as Protocol[];
/** Each place once. */
export const places = [...new Set(Object.values(spoken))];
/** Those that one works with in a place. */
export const within = (place: string) => protocols.filter((p) => spoken[p].place === place);

/** The entry of a protocol; undefined for one that this page does not know. */
export function speaks(protocol: string): Spoken | undefined {
  return Object.hasOwn(spoken, protocol) ? spoken[protocol as Protocol] : undefined;
}

/** The command with which one comes to a service of a protocol. */
export function commandOf(protocol: string): string {
  return speaks(protocol)?.command ?? 'ssh';
}

/** What a service's place is called, also where its protocol is not known. */
export function placeOf(protocol: string): string {
  return speaks(protocol)?.place ?? 'session';
}
