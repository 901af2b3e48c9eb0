/**
 * `npm run sbom`: prints the software bill of materials of the package as CycloneDX. It is npm's own, reduced to what is
 * shipped: run-time dependencies, and the packages that the build has put into dist.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const DEVELOPMENT = 'cdx:npm:package:development';

const args = ['sbom', '--sbom-format', 'cyclonedx', '--sbom-type', 'library', '--package-lock-only'];
const sbom = JSON.parse(execFileSync('npm', args, { encoding: 'utf8', maxBuffer: 2 ** 28 }));
const bundled = JSON.parse(readFileSync('build/bundled.json', 'utf8')).map(
  ({ name, version }) => `${name}@${version}`,
);
const isForDevelopment = ({ properties = [] }) => properties.some(({ name }) => name === DEVELOPMENT);

sbom.components = sbom.components
  .filter((component) => bundled.includes(component['bom-ref']) || !isForDevelopment(component))
  .map((component) => ({
    ...component,
    properties: component.properties?.filter(({ name }) => name !== DEVELOPMENT),
  }));
const shipped = sbom.components.map((component) => component['bom-ref']);
const root = sbom.metadata.component;
// npm takes the name of the folder.
root.name = JSON.parse(readFileSync('package.json', 'utf8')).name;
sbom.dependencies = [root['bom-ref'], ...shipped].map((ref) => ({
  ref,
  dependsOn: ref === root['bom-ref'] ? shipped : [],
}));
console.log(JSON.stringify(sbom, undefined, 2));
