/**
 * `npm run release:audit`: `npm audit` of what users install, that is, the packed package with all of its peers. Needs a
 * registry that answers audits. Exits as npm does: with 1 if there is a known weakness.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { name, peerDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
const folder = mkdtempSync(join(tmpdir(), `${name}-audit-`));
execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], { stdio: 'inherit' });
const [tarball] = readdirSync(folder);
const dependencies = { ...peerDependencies, [name]: `file:${tarball}` };
writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }));
execFileSync('npm', ['install', '--ignore-scripts', '--no-fund', '--no-audit'], {
  cwd: folder,
  stdio: 'inherit',
});
const { status } = spawnSync('npm', ['audit', '--omit=dev'], { cwd: folder, stdio: 'inherit' });
rmSync(folder, { recursive: true });
process.exit(status ?? 1);
