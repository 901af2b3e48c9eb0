/** Which hosts a certificate is valid for: as Node decides, except for a bug of some versions with IPv6 addresses. */
import { X509Certificate } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { checkServerIdentity } from '../../lib/kubernetes/tls-connection.js';
import { TestAuthority } from './test-authority.js';

const made = TestAuthority.make();

describe.skipIf(made === undefined)('a certificate', () => {
  const authority = made as TestAuthority;
  afterAll(() => {
    authority.remove();
  });

  it.each([
    ['IP:2001:db8::1', '2001:db8::1', true],
    ['IP:2001:db8::1', '2001:DB8:0:0::1', true],
    ['IP:2001:db8::1', '2001:db8::2', false],
    ['IP:::1,IP:2001:db8::1', '2001:db8::1', true],
    ['IP:fe80::1', 'fe80::1', true],
    ['IP:fe80::1', 'fe80::2%eth0', false],
    ['IP:10.0.0.1', '10.0.0.1', true],
    ['IP:10.0.0.1', '10.0.0.2', false],
    ['IP:10.0.0.1', '::ffff:10.0.0.1', false],
    ['DNS:api.test', 'api.test', true],
    ['DNS:api.test', 'other.test', false],
    ['DNS:api.test', '2001:db8::1', false],
    ['DNS:*.test', '::1', false],
    // The address as its common name.
    ['DNS:api.test', 'fd00::9', false],
  ])('of %s is valid for %s: %s', (names, host, isGood) => {
    const { cert } = authority.issue('fd00::9', ...names.split(','));
    const certificate = new X509Certificate(cert).toLegacyObject();
    const error = checkServerIdentity(host, certificate);
    if (isGood) expect(error).toBeUndefined();
    else expect(error).toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  });
});
