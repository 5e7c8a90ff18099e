/** The clients, of a server and of a cluster, have no codes of their own for being cut off. */
export function isRedisOutage({ message }: Error): boolean {
  return (
    /isn't writeable|Connection is closed|Command timed out|ECONN|max retries per request/.test(message) ||
    /Cluster (isn't ready|is dis)|refresh slots cache|startup nodes|Cluster redirections|CLUSTERDOWN/.test(message)
  );
}
