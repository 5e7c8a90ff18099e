import { Advice } from '../host.mjs';
import { isPortFree } from './ports.ts';
import type { ServicePorts } from './services.ts';

const portVariables: Record<keyof ServicePorts, { variable: string; standard: number }> = {
  gateway: { variable: 'GATEWAY_PORT', standard: 3001 },
  worker: { variable: 'WORKER_PORT', standard: 8000 },
  controller: { variable: 'CONTROLLER_PORT', standard: 8090 },
  scaler: { variable: 'SCALER_PORT', standard: 8091 },
};

/** Each service's port, wanted, its own and free; throws one line naming the variable to change. */
export async function choosePorts(host: string, env: NodeJS.ProcessEnv): Promise<ServicePorts> {
  const ports: Partial<ServicePorts> = {};
  const taken = new Map<number, string>();
  for (const [name, { variable, standard }] of Object.entries(portVariables)) {
    const port = Number(env[variable] || standard);
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw new Advice(`${variable} is not a port: ${env[variable]}`);
    const other = taken.get(port);
    if (other !== undefined)
      throw new Advice(`${other} and ${variable} are both ${port}: each service needs a port of its own.`);
    if (!(await isPortFree(port, host))) {
      throw new Advice(
        `Port ${port} of the ${name} is in use by another program: stop that, or choose another with ${variable}=… npm start.`,
      );
    }
    taken.set(port, variable);
    ports[name as keyof ServicePorts] = port;
  }
  return ports as ServicePorts;
}
