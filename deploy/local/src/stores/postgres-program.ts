import { unpackDebian } from './debian.ts';
import { findPostgres, type PostgresProgram } from './installed.ts';

type Options = Parameters<typeof unpackDebian>[0];

/** A PostgreSQL to start oneself: the machine's own, else an unpacked one. Throws `Advice` where there is none. */
export async function findPostgresProgram(options: Options): Promise<PostgresProgram> {
  return (await findPostgres(options.env))[0] ?? (await unpackDebian(options)).postgres;
}
