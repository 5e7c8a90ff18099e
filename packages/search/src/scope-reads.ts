import { createSharedReads } from '@flowstate/store';
import { LRUCache } from 'lru-cache';
import type { SearchScope } from './search-scope.ts';

/** What a search will probably ask first: under way already, and good for nobody but this asker. */
export type Foreseen = { readonly asker: string; readonly scope: Promise<SearchScope> };

type Habit = { asker: string; read: () => Promise<SearchScope>; settled: boolean };

/** Users whose habits are remembered. */
const maxHabits = 1_000;

/**
 * Reads of scopes, shared by who asks for the same at the same time. Most askers ask for the same again and again: what
 * that will be can be read while it is still being proved who they are, with the reads of all who came in with them.
 */
export function createScopeReads() {
  const reads = createSharedReads<SearchScope>();
  const habits = new LRUCache<string, Habit>({ max: maxHabits });

  return {
    /** `asker` names all that the scope depends on: a guess for anybody or anything else is not looked at. */
    of(userId: string, asker: string, read: () => Promise<SearchScope>, foreseen?: Foreseen): Promise<SearchScope> {
      const habit = habits.get(userId);
      if (habit?.asker === asker) habit.settled = true;
      else habits.set(userId, { asker, read, settled: false });
      return foreseen?.asker === asker ? foreseen.scope : reads.of(asker, read);
    },
    /** Begins to read what this user asked the last two times; undefined for who asked for different things. */
    foresee(userId: string): Foreseen | undefined {
      const habit = habits.get(userId);
      if (habit === undefined || !habit.settled) return undefined;
      const scope = reads.of(habit.asker, habit.read);
      scope.catch(() => {}); // whoever waits for it hears of it; perhaps nobody does
      return { asker: habit.asker, scope };
    },
  };
}
