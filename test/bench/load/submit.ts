import { Pool } from 'undici';
import type { Target } from '../contenders/contender.ts';

export type Submit = {
  /** Resolves with the run's id once it is accepted; rejects on any other answer. */
  submit(): Promise<string>;
  close(): Promise<void>;
};

/** Posts the run over kept-alive connections, by undici's lowest layer: what it costs comes off all contenders. */
export function createSubmit({ url, path, headers, body }: Target, connections: number): Submit {
  const pool = new Pool(url, { connections, pipelining: 1 });
  const request = {
    method: 'POST' as const,
    path,
    headers: { ...headers, 'content-type': 'application/json' },
    body,
  };
  return {
    submit: () =>
      new Promise((resolve, reject) => {
        let status = 0;
        let answer = '';
        pool.dispatch(request, {
          onRequestStart() {},
          onResponseStart(_controller, statusCode) {
            status = statusCode;
          },
          onResponseData(_controller, chunk) {
            answer += chunk.toString('latin1');
          },
          onResponseEnd() {
            if (status === 202) resolve((JSON.parse(answer) as { id: string }).id);
            else reject(new Error(`a run was answered ${status}: ${answer.slice(0, 300)}`));
          },
          onResponseError(_controller, error) {
            reject(error);
          },
        });
      }),
    close: () => pool.destroy(),
  };
}
