import { FlowstateError } from '@flowstate/contracts';
import { bearerToken, secretsEqual } from '@flowstate/runtime';

export type ScalerTokenCheck = (bearer: string | undefined, fromMetadata?: string) => void;

type Options = {
  token: string | undefined;
  /** Whoever asks has shown a certificate of ours. */
  clientCertificates: boolean;
};

/**
 * Throws `invalid_token` unless the caller has SCALER_TOKEN: as bearer, or in the trigger's `tokenFromEnv`, the only
 * way KEDA has of passing one to an external scaler. Without a token a client's certificate is enough, and without
 * either nobody is answered.
 */
export function createScalerTokenCheck({ token, clientCertificates }: Options): ScalerTokenCheck {
  return (bearer, fromMetadata) => {
    if (token === undefined && clientCertificates) return;
    const given = bearerToken(bearer) ?? fromMetadata ?? '';
    if (token !== undefined && secretsEqual(given, token)) return;
    throw new FlowstateError('invalid_token', 'This needs the bearer SCALER_TOKEN');
  };
}
