/** What the gateways do together, as measured over some seconds. */
export type GatewayDemand = {
  /** Cores in use by all of them. */
  cores: number;
  requestsPerSecond: number;
};

export type GatewayPolicy = { min: number; max: number; utilisation: number };

/** As the chart's HorizontalPodAutoscaler has it: by CPU, since a gateway holds no queue. */
export const gatewayPolicy: Readonly<GatewayPolicy> = { min: 2, max: 10, utilisation: 0.7 };

export type GatewayDecision = {
  gateways: number;
  /** What the CPU in use asks for, before the bounds. */
  byCpu: number;
  /** Requests a second that one core answers; null: nothing was asked. */
  requestsPerCore: number | null;
};

/** The gateways there should be. One event loop has one core, so that a gateway is full at one core whatever its limit. */
export function desiredGateways(demand: GatewayDemand, policy: GatewayPolicy = gatewayPolicy): GatewayDecision {
  const byCpu = Math.ceil(demand.cores / policy.utilisation - 1e-9);
  return {
    gateways: Math.min(Math.max(byCpu, policy.min), policy.max),
    byCpu,
    requestsPerCore: demand.requestsPerSecond > 0 ? demand.requestsPerSecond / demand.cores : null,
  };
}
