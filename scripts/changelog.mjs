/** How changesets write CHANGELOG.md: a changeset of one paragraph is an item of a list, a longer one stays as it is written. */

export function getReleaseLine({ summary }) {
  const text = summary.trim();
  return text.includes('\n\n') ? `${text}\n` : `- ${text.replaceAll('\n', '\n  ')}`;
}

/** There is one package, which depends on no other of this repository. */
export function getDependencyReleaseLine() {
  return '';
}
