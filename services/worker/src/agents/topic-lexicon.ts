/** What a message is about: a topic is named when one of its expressions occurs as whole words. */
export type Topic = { name: string; label: string; expressions: readonly string[] };

const topic = (name: string, label: string, expressions: string): Topic => ({
  name,
  label,
  expressions: expressions.split(',').map((expression) => expression.trim()),
});

export const topics: readonly Topic[] = [
  topic(
    'billing',
    'billing',
    'invoice, invoices, invoiced, billing, billed, charged, charge, refund, credit note, payment, payments, vat, purchase order',
  ),
  topic(
    'pricing',
    'pricing',
    'price, prices, pricing, discount, quote, quotation, expensive, budget, cost, costs, tier, price list',
  ),
  topic(
    'availability',
    'outages',
    'outage, outages, downtime, offline, unavailable, is down, was down, are down, went down, not reachable, maintenance window',
  ),
  topic(
    'performance',
    'speed',
    'slow, slower, slowly, latency, performance, sluggish, timeout, timeouts, timed out, times out, time out, lag, loading time, load time',
  ),
  topic(
    'errors',
    'errors',
    'error, errors, bug, bugs, crash, crashed, crashes, crashing, exception, broken, not working, does not work, failed, fails, failing, error message',
  ),
  topic(
    'integration',
    'integrations',
    'integration, integrations, sync, syncing, synced, synchronisation, synchronization, api, webhook, webhooks, connector, endpoint, mapping, middleware',
  ),
  topic(
    'data',
    'data and reports',
    'report, reports, reporting, export, exports, import, imports, dashboard, dashboards, csv, spreadsheet, duplicate, duplicates, migration, data quality',
  ),
  topic(
    'access',
    'log-in and access',
    'login, log in, logging in, password, sign in, single sign-on, sso, saml, locked out, permission, permissions, user account, two-factor, access rights',
  ),
  topic(
    'security',
    'security and compliance',
    'security, gdpr, compliance, audit, penetration test, encryption, data protection, data processing agreement, iso certificate, retention policy, breach, vulnerability',
  ),
  topic(
    'onboarding',
    'onboarding and training',
    'onboarding, training, trainings, workshop, webinar, getting started, documentation, tutorial, user guide, handbook, kick-off, go-live, go live, rollout, roll-out',
  ),
  topic(
    'feature',
    'feature requests',
    'feature, features, feature request, roadmap, wish list, would be great, would love to see, is there a way, enhancement, missing functionality',
  ),
  topic(
    'contract',
    'contract and renewal',
    'contract, contracts, renewal, renew, renewing, renewed, terms, agreement, sla, licence, licences, license, licenses, seats, subscription',
  ),
  topic(
    'churn',
    'leaving',
    'cancel, cancelling, cancellation, terminate, termination, switch to, switching to, competitor, competitors, alternative, alternatives, leave you, not renew, churn',
  ),
  topic(
    'support',
    'support experience',
    'still waiting, no reply, no answer, no response, nobody answered, response time, response times, escalate, escalation, escalated, ticket, tickets, support team, follow-up, following up',
  ),
  topic(
    'delivery',
    'delivery',
    'delivery, deliveries, shipment, shipments, shipping, tracking number, stock, warehouse, returns, lead time, back order',
  ),
];
