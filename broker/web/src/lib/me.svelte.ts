// Who is signed in.
import { get, Trouble } from './api';
import type { Me, Role } from './types';

class Self {
  me = $state<Me | null>(null);
  /** Nobody was asked yet. */
  asking = $state(true);
  /** The broker could not be asked. */
  trouble = $state<Trouble>();

  async ask(): Promise<void> {
    try {
      this.me = await get<Me>('/api/v1/me');
      this.trouble = undefined;
    } catch (e) {
      this.me = null;
      this.trouble = e instanceof Trouble && !e.signedOut ? e : undefined;
    } finally {
      this.asking = false;
    }
  }

  is(role: Role): boolean {
    return this.me?.roles.includes(role) ?? false;
  }

  /** Where this person starts. */
  get home(): string {
    if (this.is('engineer')) return '/assets';
    if (this.is('approver')) return '/inbox';
    return '/recordings';
  }
}
export const self = new Self();
