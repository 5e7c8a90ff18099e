// For a container's health check: exits 0 when the service on this port answers 200 at this path.
const [port, path] = process.argv.slice(2);
const answer = await fetch(`http://127.0.0.1:${process.env.PORT ?? port}${path}`, {
  signal: AbortSignal.timeout(4_000),
});
process.exitCode = answer.ok ? 0 : 1;
