import { flagDefinitions, type FlagName } from '@flowstate/contracts';

export type Flags = {
  isOn(name: FlagName): boolean;
  limit(name: FlagName): number;
};

/** Flags as they are at this moment; one that was not set, or not to anything it can be, has its default. */
export function createFlags(flag: (name: string) => unknown): Flags {
  return {
    isOn(name) {
      const value = flag(name);
      return typeof value === 'boolean' ? value : Boolean(flagDefinitions[name].default);
    },
    limit(name) {
      const value = flag(name);
      return typeof value === 'number' ? value : Number(flagDefinitions[name].default);
    },
  };
}
