import { delimiter } from 'node:path';
import { unpackPostgresClient } from '@flowstate/local';
import { requiredEnv } from './environment.ts';

/** A PATH on which PostgreSQL's client programs are, fetched once into the cache; the reason where there is no way. */
export async function pathWithPostgresClient(): Promise<{ PATH: string } | string> {
  const { PATH = '' } = process.env;
  try {
    const bin = await unpackPostgresClient({
      cacheDir: requiredEnv('FLOWSTATE_CACHE'),
      log: () => {},
      signal: new AbortController().signal,
      env: { PATH },
    });
    return { PATH: `${bin}${delimiter}${PATH}` };
  } catch (error) {
    return `no client programs of PostgreSQL to be had here: ${(error as Error).message}`;
  }
}
