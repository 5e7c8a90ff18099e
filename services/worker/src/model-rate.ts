import type { Logger } from '@flowstate/runtime';
import type { Redis } from 'ioredis';

/** What the provider takes of all workers together, a minute; undefined: any number. */
export type RateLimits = { requests: number | undefined; tokens: number | undefined };

export type ModelRate = {
  /** Takes a call of so many tokens off the minute: 0, or after how many milliseconds to ask again. */
  take(tokens: number): Promise<number>;
};

const key = '{flowstate}:model-rate';
/** Milliseconds after which to ask again while Redis is away. */
const awayMs = 5_000;
/** Whoever is told to wait is never told to wait longer: a line that was left by many heals so. */
const longestMs = 300_000;

/**
 * A window of 61 whole seconds, which holds any 60 in a row: each second's calls and tokens are a field. Who finds no room
 * gets the moment at which there is some and everybody before him has had his; that line (`next`) moves on by what
 * each needs. A Redis that knows nothing (flushed, or new) knows what the provider has seen no better than to assume
 * the worst: a minute used up evenly. Its clock is everybody's.
 * KEYS[1]; ARGV: requests and tokens a minute (0: any), tokens of the call, longest wait in milliseconds.
 */
const script = `
local requests, tokens, need, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local sec = tonumber(time[1])
local ms = sec * 1000 + math.floor(tonumber(time[2]) / 1000)
if redis.call('HEXISTS', KEYS[1], 'next') == 0 then
  redis.call('HSET', KEYS[1], 'next', 0)
  for s = sec - 60, sec - 1 do
    redis.call('HSET', KEYS[1], 'r' .. s, requests / 60, 't' .. s, tokens / 60)
  end
end
local all, used, next = redis.call('HGETALL', KEYS[1]), {}, 0
local sum = { r = 0, t = 0 }
for i = 1, #all, 2 do
  local kind, s, value = string.sub(all[i], 1, 1), tonumber(string.sub(all[i], 2)), tonumber(all[i + 1])
  if all[i] == 'next' then next = value
  elseif s < sec - 60 then redis.call('HDEL', KEYS[1], all[i])
  else
    used[all[i]] = value
    sum[kind] = sum[kind] + value
  end
end
if tokens > 0 then need = math.min(need, tokens) end
local function fits()
  return (requests == 0 or sum.r + 1 <= requests + 0.001) and (tokens == 0 or sum.t + need <= tokens + 0.001)
end
if fits() then
  redis.call('HINCRBYFLOAT', KEYS[1], 'r' .. sec, 1)
  redis.call('HINCRBYFLOAT', KEYS[1], 't' .. sec, need)
  return 0
end
local free = ms
for s = sec - 60, sec do
  sum.r = sum.r - (used['r' .. s] or 0)
  sum.t = sum.t - (used['t' .. s] or 0)
  free = (s + 61) * 1000
  if fits() then break end
end
local turn = math.min(math.max(next, free), ms + longest)
local pace = math.max(requests > 0 and 60000 / requests or 0, tokens > 0 and need * 60000 / tokens or 0)
redis.call('HSET', KEYS[1], 'next', turn + pace)
return math.ceil(turn - ms)
`;

/**
 * The provider's limits, kept by all workers together in Redis. While Redis is away nobody knows what the others do:
 * calls wait then, as runs wait for their delivery.
 */
export function createModelRate(redis: Redis, { requests = 0, tokens = 0 }: RateLimits, log: Logger): ModelRate {
  return {
    async take(need) {
      if (requests === 0 && tokens === 0) return 0;
      try {
        return Number(await redis.eval(script, 1, key, requests, tokens, need, longestMs));
      } catch (err) {
        log.warn({ err }, "the provider's rate cannot be kept without redis: calls of models wait");
        return awayMs;
      }
    },
  };
}
