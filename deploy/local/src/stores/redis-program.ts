import { unpackDebian } from './debian.ts';
import { findRedis } from './installed.ts';

type Options = Parameters<typeof unpackDebian>[0];

/** A Redis server to start oneself: the machine's own, else an unpacked one. Throws `Advice` where there is none. */
export async function findRedisProgram(options: Options): Promise<string> {
  return (await findRedis(options.env)) ?? (await unpackDebian(options)).redis;
}
