// Sentences about recordings.
import type { DoorsState } from '../ui/Doors.svelte';
import type { Recording, Verdict } from './types';
import { endWords, list } from './words';

const many = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`;

export function recordingDoors(r: Recording): DoorsState {
  if (r.verdict?.verdict === 'tampered') return 'tampered';
  return r.state === 'live' ? 'live' : 'ended';
}

/** Who worked, by name where that is known. */
export const named = (r: Recording) => r.engineer_name || r.engineer;

export const killed = (r: Recording) => /^killed-|^revoked$/.test(r.reason);

/** Where a recording stands. */
export function stateWords(r: Recording): string {
  if (r.verdict?.verdict === 'tampered') return 'Tampered with';
  if (r.state === 'live') return 'Still growing';
  if (r.state === 'torn') return 'Torn: the recorder was lost, what it had is sealed';
  return endWords(r.reason) || 'Sealed';
}

/** What a recording holds that is worth a look. */
export function holds(r: Recording): string {
  const d = r.digest;
  if (!d) return r.readable ? '' : 'sealed to others';
  const parts: string[] = [];
  if (d.files_in) parts.push(`${many(d.files_in, 'file')} in`);
  if (d.files_out) parts.push(`${many(d.files_out, 'file')} out`);
  if (d.refused) parts.push(`${d.refused} refused`);
  if (d.freezes) parts.push(many(d.freezes, 'freeze'));
  return list(parts);
}

export function verdictWords(v: Verdict): string {
  switch (v.verdict) {
    case 'intact':
      return `Checked by the broker: ${many(v.segments, 'segment')} intact`;
    case 'torn':
      return `Checked by the broker: ${many(v.segments, 'segment')} intact, the end is torn`;
    case 'tampered':
      return 'Checked by the broker: it was tampered with';
    case 'unreadable':
      return 'The broker could not read it';
    case 'open':
      return `Checked by the broker: ${many(v.segments, 'segment')} intact so far, it still grows`;
  }
}
