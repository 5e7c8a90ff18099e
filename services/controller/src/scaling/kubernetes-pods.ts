import { readFile } from 'node:fs/promises';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { FlowstateError } from '@flowstate/contracts';

/** Where Kubernetes puts what a pod needs to ask the API server: `token`, `ca.crt`, `namespace`. */
export const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

export type KubernetesApi = {
  host: string;
  port: number;
  /** The service account's files. */
  folder: string;
  /** Milliseconds for one request. */
  timeoutMs: number;
};

export type KubernetesPods = {
  /**
   * Sets annotations of a pod of our own namespace; false: there is none of that name. Throws `forbidden` when we may
   * not, `unavailable` for every other answer, and what a connection throws.
   */
  annotate(pod: string, annotations: Record<string, string>): Promise<boolean>;
  close(): Promise<void>;
};

/** Of an answer, so much is read: of a pod itself nothing is wanted. */
const bodyLimit = 256 * 1024;

/**
 * Pods of our own namespace, for a few requests. Token and authority are read anew each time, since both are replaced
 * while we run.
 */
export async function openKubernetesPods(api: KubernetesApi, connections: number): Promise<KubernetesPods> {
  const read = async (name: string) => (await readFile(join(api.folder, name), 'utf8')).trim();
  const [token, ca, namespace] = await Promise.all([read('token'), read('ca.crt'), read('namespace')]);
  // Here and not above: few controllers have pods to mark, and it takes a tenth of a start to load.
  const { Agent, request } = await import('undici');
  const agent = new Agent({ connections, allowH2: false, connect: { ca, timeout: api.timeoutMs } });
  const origin = originOf(api);

  return {
    async annotate(pod, annotations) {
      // By way of `status`, whoever may patch can change what stands on a pod, but never what runs in it.
      const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/status`;
      const { statusCode, body } = await request(`${origin}${path}`, {
        method: 'PATCH',
        dispatcher: agent,
        signal: AbortSignal.timeout(api.timeoutMs),
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/merge-patch+json',
          accept: 'application/json',
          'user-agent': 'flowstate-controller',
        },
        body: JSON.stringify({ metadata: { annotations } }),
      });
      if (statusCode === 200 || statusCode === 404) {
        await body.dump({ limit: bodyLimit });
        return statusCode === 200;
      }
      const said = (await body.text()).slice(0, 500);
      const code = statusCode === 401 || statusCode === 403 ? 'forbidden' : 'unavailable';
      throw new FlowstateError(code, `the Kubernetes API answers ${statusCode}: ${said}`);
    },
    close: () => agent.destroy(),
  };
}

/** `https://host:port`, for an IPv6 address too. */
export function originOf({ host, port }: Pick<KubernetesApi, 'host' | 'port'>): string {
  return `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
