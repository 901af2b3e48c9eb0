/**
 * `npm run release:audit`: `npm audit` of what users install: the packed package with all its peers, on each version of
 * Nest. Needs a registry that answers audits. Exits with 1 if there is a known weakness, or no answer.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { peerDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
let clean = true;
for (const nest of ['11', '12']) {
  const tested = JSON.parse(
    readFileSync(`test/consumers/integrations/nest-${nest}.json`, 'utf8'),
  ).dependencies;
  const peers = Object.fromEntries(Object.keys(peerDependencies).map((name) => [name, tested[name]]));
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-leader-audit-'));
  execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder]);
  const [tarball] = readdirSync(folder);
  const packageJson = {
    private: true,
    dependencies: { ...peers, 'nestjs-leader': `file:${tarball}` },
  };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(packageJson));
  const npm = (...args) => spawnSync('npm', args, { cwd: folder, stdio: 'inherit' }).status === 0;
  console.log(`What is installed with Nest ${nest}:`);
  clean =
    npm('install', '--package-lock-only', '--no-audit', '--loglevel=error') &&
    npm('audit', '--omit=dev') &&
    clean;
  rmSync(folder, { recursive: true });
}
process.exit(clean ? 0 : 1);
