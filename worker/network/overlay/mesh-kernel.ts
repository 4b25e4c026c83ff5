/** What the kernel must be able to do, so that a mesh can carry IPv6 without being asked to. */
import { SyscallError } from '../syscalls.ts';
import { inScratchNamespace } from '../namespace.ts';
import { addTable, hasSocket, isFamily, NetfilterSocket, priorities } from '../nft/index.ts';
import { offersIpv6 } from '../settings.ts';

/** IPv6 itself, and whether a program listens: those that do not are asked by IPv4. */
export function kernelCarriesIpv6(): boolean {
  return offersIpv6() && findsSockets();
}

function findsSockets(): boolean {
  const base = { type: 'nat', at: 'prerouting', priority: priorities.destinationNat } as const;
  const chains = [{ name: 'probe', base, rules: [[isFamily.ip6, hasSocket]] }];
  try {
    inScratchNamespace(() => {
      using socket = new NetfilterSocket();
      socket.commit(addTable({ family: 'inet', name: 'probe', sets: [], chains }));
    });
    return true;
  } catch (error) {
    if (error instanceof SyscallError) return false;
    throw error;
  }
}
