export const services = ['gateway', 'worker', 'controller'] as const;
export type Service = (typeof services)[number];

/** Name of the image that the tests build of a target of the Dockerfile. */
export const image = (target: string) => `flowstate-test/${target}`;

/** MiB that a service takes beside its heap, with the offline model where it embeds; measured: deploy/capacity.md. */
export const besideHeapMb: Record<Service, number> = { gateway: 384, worker: 320, controller: 96 };

/** The same where an endpoint embeds and no model is loaded. */
export const besideHeapWithoutModelMb: Record<Service, number> = { gateway: 128, worker: 96, controller: 96 };
