/**
 * `npm run release:check`: whether what is checked out may be published from this workflow run. GitHub sets GITHUB_REPOSITORY
 * and GITHUB_REF_NAME. Prints what is wrong, with the remedy, and exits with 1.
 */
import { readFileSync, readdirSync } from 'node:fs';

const { version, repository } = JSON.parse(readFileSync('package.json', 'utf8'));
const { GITHUB_REPOSITORY: here = '', GITHUB_REF_NAME: tag = '' } = process.env;

const wrong = [];
const named = typeof repository === 'object' ? repository.url : repository;
const [, address] = /github(?:\.com)?[:/]([\w.-]+\/[\w.-]+?)(?:\.git)?$/.exec(named ?? '') ?? [];
if (address === undefined || address !== here)
  wrong.push(
    `package.json has the repository ${named === undefined ? 'undefined' : `'${named}'`}, and this is '${here}': npm shows where a ` +
      `package was built only if they are one. Commit what \`npm pkg set repository=github:${here || 'OWNER/NAME'}\` writes.`,
  );
if (tag !== `v${version}`)
  wrong.push(`The tag is '${tag}', and package.json has the version ${version}: tag 'v${version}'.`);
const pending = readdirSync('.changeset').filter((file) => file.endsWith('.md') && file !== 'README.md');
if (pending.length > 0)
  wrong.push(`Changesets are left (${pending.join(', ')}): run \`npm run release:version\` before you tag.`);
if (!readFileSync('CHANGELOG.md', 'utf8').includes(`\n## ${version}\n`))
  wrong.push(`CHANGELOG.md has no entry '## ${version}': run \`npm run release:version\` before you tag.`);

for (const line of wrong) console.error(line);
process.exit(wrong.length > 0 ? 1 : 0);
