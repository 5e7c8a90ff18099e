type News = { level: 'info' | 'warn'; message: string; fields: Record<string, unknown> };

const untold: News[] = [];
let tell: ((news: News) => void) | undefined;

/** Telemetry starts before there is a log: what it has to say waits for one. */
export function telemetryNews(level: News['level'], message: string, fields: News['fields'] = {}): void {
  const news = { level, message, fields };
  if (tell === undefined) untold.push(news);
  else tell(news);
}

/** Has telemetry speak through this log from now on. */
export function hearTelemetry(log: Record<News['level'], (fields: News['fields'], message: string) => void>): void {
  tell = ({ level, message, fields }) => log[level](fields, message);
  for (const news of untold.splice(0)) tell(news);
}
