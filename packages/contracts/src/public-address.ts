import ipaddr from 'ipaddr.js';

/** Public by its number, but answered by the cloud's own host (Azure's platform address). */
const platformAddresses = new Set(['168.63.129.16']);
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3');
const wellKnownNat64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');

/**
 * Is it an address of the public internet? Loopback, private, link-local (cloud metadata), carrier-grade NAT,
 * unique-local, multicast, documentation and reserved ranges are not, and neither is what is no address at all. An
 * IPv4 address within an IPv6 one (mapped, NAT64) counts as that IPv4 address.
 */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.process(text);
  if (address instanceof ipaddr.IPv4) {
    return address.range() === 'unicast' && !platformAddresses.has(address.toString());
  }
  if (address.match(wellKnownNat64)) {
    return isPublicAddress(ipaddr.fromByteArray(address.toByteArray().slice(12)).toString());
  }
  return address.range() === 'unicast' && address.match(globalUnicast);
}
