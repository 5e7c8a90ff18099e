import { GenericContainer } from 'testcontainers';

/**
 * A container as a cluster would run it: nothing of the root can be written, no capability is held. It shares this
 * machine's network, where the stores of the tests are.
 */
export class SealedContainer extends GenericContainer {
  constructor(image: string) {
    super(image);
    this.hostConfig.ReadonlyRootfs = true;
    this.withNetworkMode('host').withTmpFs({ '/tmp': 'rw,noexec,nosuid' }).withDroppedCapabilities('ALL');
    this.withSecurityOpt('no-new-privileges');
  }
}
