import { readableLine, type LineStyle } from '@flowstate/runtime';

export type Console = {
  style: LineStyle;
  /** Something `npm start` itself has to say. */
  say: (line: string) => void;
  /** A line a service wrote. */
  line: (name: string, line: string) => void;
  /** Text meant for reading, without a time or a name. */
  print: (text: string) => void;
};

/** One terminal for what several processes write. */
export function createConsole(out: NodeJS.WriteStream, env: NodeJS.ProcessEnv): Console {
  const style = { colour: out.isTTY && !env['NO_COLOR'] };
  // A pipe whose reader left (`npm start | head`) must not end what is being stopped in order.
  out.on('error', () => undefined);
  const print = (text: string): void => void out.write(`${text}\n`);
  return {
    style,
    print,
    say: (line) => print(readableLine('flowstate', line, style)),
    line: (name, line) => print(readableLine(name, line, style)),
  };
}
