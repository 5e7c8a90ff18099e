export const services = ['gateway', 'worker', 'controller'] as const;
export type Service = (typeof services)[number];

/** Name of the image that the tests build of a target of the Dockerfile. */
export const image = (target: string) => `flowstate-test/${target}`;
