export type ClusterAddress = {
  /** Where it is looked up; which nodes there are it tells itself. */
  nodes: { host: string; port: number }[];
  username: string | undefined;
  password: string | undefined;
  tls: boolean;
};

const protocols = /^(rediss?)\+cluster:/;

/**
 * Reads the address of a Redis Cluster: `redis+cluster://host:port` (with TLS `rediss+cluster://`), `?nodes=host:port,…`
 * names more of its nodes. Null for the address of a single server.
 */
export function readClusterAddress(url: string): ClusterAddress | null {
  const [, protocol] = protocols.exec(url) ?? [];
  if (protocol === undefined) return null;
  const { hostname, port, username, password, searchParams } = new URL(url);
  const more = searchParams.get('nodes')?.split(',') ?? [];
  return {
    nodes: [`${hostname}:${port || '6379'}`, ...more].map((node) => {
      const at = node.lastIndexOf(':');
      return { host: node.slice(0, at), port: Number(node.slice(at + 1)) };
    }),
    username: decodeURIComponent(username) || undefined,
    password: decodeURIComponent(password) || undefined,
    tls: protocol === 'rediss',
  };
}
