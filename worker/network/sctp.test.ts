import { strict as assert } from 'node:assert';
import { closeSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inScratchNamespace } from './namespace.ts';
import { assertSctpTracked, holdSctpPort, tracksSctp } from './sctp.ts';

describe('SCTP of the kernel', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ts-swarm-sctp-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is known once something follows connections', () => {
    assert.equal(tracksSctp(folder), undefined);
    assertSctpTracked(folder);
    writeFileSync(join(folder, 'nf_conntrack_max'), '1');
    assert.equal(tracksSctp(folder), false);
    assert.throws(() => assertSctpTracked(folder), /CONFIG_NF_CT_PROTO_SCTP/);
    writeFileSync(join(folder, 'nf_conntrack_sctp_timeout_established'), '1');
    assert.equal(tracksSctp(folder), true);
    assertSctpTracked(folder);
  });

  it('has each port once in a namespace', function () {
    if (process.getuid?.() !== 0) this.skip();
    inScratchNamespace(() => {
      const held = holdSctpPort(4, { address: '0.0.0.0', port: 7001 });
      assert.throws(() => holdSctpPort(4, { address: '0.0.0.0', port: 7001 }), /EADDRINUSE/);
      closeSync(holdSctpPort(4, { address: '0.0.0.0', port: 7002 }));
      closeSync(inScratchNamespace(() => holdSctpPort(4, { address: '0.0.0.0', port: 7001 })));
      closeSync(held);
      closeSync(holdSctpPort(4, { address: '0.0.0.0', port: 7001 }));
    });
  });
});
