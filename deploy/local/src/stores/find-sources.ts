import { Advice, NoSpace } from '../../host.mjs';
import { unpackDebian, type UnpackedPrograms } from './debian.ts';
import { dockerServices } from './docker-project.ts';
import { startDockerStores, type DockerStores } from './docker.ts';
import { findPostgres, findRedis, type PostgresProgram } from './installed.ts';
import { dataVersion } from './postgres.ts';
import type { StoreHome } from './store-home.ts';

type Needed = { postgres: boolean; redis: boolean };

export type Sources = {
  postgres?: { program: PostgresProgram; source: 'installed' | 'unpacked' };
  redis?: { program: string; source: 'installed' | 'unpacked' };
  /** Running already; has every needed store that has no program above. */
  docker?: DockerStores;
};

/**
 * Decides for each needed store where it comes from: installed programs, else unpacked packages, else Docker. A
 * database that exists stays where it is, whatever else has become available since.
 * Throws `Advice` with all choices and what was tried when a store is to be had nowhere.
 */
export async function findSources(
  needed: Needed,
  home: StoreHome,
  cacheDir: string,
  env: NodeJS.ProcessEnv,
): Promise<Sources> {
  if (needed.postgres && dockerServices(home.dir).has('postgres'))
    return { docker: await againInDocker(needed, home, env) };
  const written = dataVersion(home);
  const fits = ({ major }: PostgresProgram): boolean => written === undefined || written === major;
  const found: Sources = {};
  const tried: string[] = [];

  const installed = needed.postgres ? (await findPostgres(env)).find(fits) : undefined;
  if (installed) found.postgres = { program: installed, source: 'installed' };
  const redis = needed.redis ? await findRedis(env) : undefined;
  if (redis) found.redis = { program: redis, source: 'installed' };
  const missing = (): Needed => ({
    postgres: needed.postgres && !found.postgres,
    redis: needed.redis && !found.redis,
  });
  const isComplete = (): boolean => !missing().postgres && !missing().redis;
  if (isComplete()) return found;

  const unpacked = await attempt('unpacking packages', () =>
    unpackDebian({ cacheDir, log: home.log, signal: home.signal, env }),
  );
  if (unpacked) takeUnpacked(unpacked);
  if (isComplete()) return found;

  if (missing().postgres && written !== undefined) {
    throw new Advice(
      `The database in ${home.dir} was written by PostgreSQL ${written}, which is missing now: install it with pgvector, or begin anew with npm run reset. Tried: ${tried.join('; ')}.`,
    );
  }
  const docker = await attempt('Docker', () => startDockerStores(missing(), home, env));
  if (docker) return { ...found, docker };
  throw new Advice(
    `${missingNames(missing())} missing. Choose one: set DATABASE_URL and REDIS_URL to servers you have; install PostgreSQL 15 or later with pgvector 0.8 and Redis 6.2 or later; or start a Docker engine. Tried: ${tried.join('; ')}.`,
  );

  function takeUnpacked(programs: UnpackedPrograms): void {
    if (missing().postgres && fits(programs.postgres))
      found.postgres = { program: programs.postgres, source: 'unpacked' };
    else if (missing().postgres) tried.push(`unpacking packages: they have PostgreSQL ${programs.postgres.major}`);
    if (missing().redis) found.redis = { program: programs.redis, source: 'unpacked' };
  }

  async function attempt<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Advice) || error instanceof NoSpace) throw error;
      tried.push(`${what}: ${error.message}`);
      return undefined;
    }
  }
}

async function againInDocker(needed: Needed, home: StoreHome, env: NodeJS.ProcessEnv): Promise<DockerStores> {
  try {
    return await startDockerStores(needed, home, env);
  } catch (error) {
    if (!(error instanceof Advice)) throw error;
    throw new Advice(
      `This clone's database is in a Docker volume, and ${error.message}. Start the engine it is in, or begin anew with npm run reset.`,
    );
  }
}

function missingNames({ postgres, redis }: Needed): string {
  if (postgres && redis) return 'PostgreSQL with pgvector and Redis are';
  return postgres ? 'PostgreSQL with pgvector is' : 'Redis is';
}
