import t from 'tap';
import { desiredGateways } from '../src/index.ts';

t.test('as many as leave each a rest of its one core, within the bounds', async (t) => {
  t.same(desiredGateways({ cores: 2.5, requestsPerSecond: 1250 }), { gateways: 4, byCpu: 4, requestsPerCore: 500 });
  t.match(desiredGateways({ cores: 0.7, requestsPerSecond: 350 }), { gateways: 2, byCpu: 1 }, 'one may fail');
  t.match(desiredGateways({ cores: 2.81, requestsPerSecond: 1400 }), { gateways: 5, byCpu: 5 });
  t.match(desiredGateways({ cores: 40, requestsPerSecond: 20_000 }), { gateways: 10, byCpu: 58 });
  t.same(desiredGateways({ cores: 0, requestsPerSecond: 0 }), { gateways: 2, byCpu: 0, requestsPerCore: null });
});
