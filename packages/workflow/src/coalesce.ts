/** Tells what comes in small pieces in few: a watcher needs no message for each token. */
export function coalesce(tell: (text: string) => void, everyMs = 100): { add(text: string): void; end(): void } {
  let pending = '';
  let timer: NodeJS.Timeout | undefined;
  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    if (pending !== '') tell(pending);
    pending = '';
  }
  return {
    add(text) {
      pending += text;
      timer ??= setTimeout(flush, everyMs);
    },
    end: flush,
  };
}
