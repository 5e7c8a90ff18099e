import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { FlowstateError, isPublicAddress } from '@flowstate/contracts';

/** All addresses of a name. */
export type Resolve = (
  hostname: string,
  options: { all: true },
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

type Options = { allowPrivate: boolean; resolve?: Resolve };

/**
 * Resolves a name for a connection, which is then made to exactly these addresses: a name that leads elsewhere at the
 * second look (DNS rebinding) gains nothing. Fails with `forbidden` when none of them is public.
 */
export function createGuardedLookup({ allowPrivate, resolve = systemLookup }: Options): LookupFunction {
  return (hostname, options, done) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return done(error, []);
      const allowed = allowPrivate ? addresses : addresses.filter(({ address }) => isPublicAddress(address));
      const [first] = allowed;
      if (first === undefined) {
        return done(new FlowstateError('forbidden', 'Its name leads to a private, local or reserved address'), []);
      }
      if (options.all === true) return done(null, allowed);
      return done(null, first.address, first.family);
    });
  };
}
