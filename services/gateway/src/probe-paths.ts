/** What monitoring asks for again and again, and must be answered whatever the load: restarting what is busy helps nobody. */
export const probePaths: ReadonlySet<string> = new Set(['/api/health', '/api/ready', '/api/metrics']);
