import { stopClone } from './stop-clone.ts';

process.exitCode = (await stopClone(console.log)) ? 0 : 1;
