/** The dashboard of deploy/, and what Grafana does with its expressions. */
import { readFile } from 'node:fs/promises';
import type { DashboardFile } from './dashboard-types.js';

export const DASHBOARD = 'deploy/grafana/dashboard.json';

export async function readDashboard(): Promise<DashboardFile> {
  return JSON.parse(await readFile(DASHBOARD, 'utf8')) as DashboardFile;
}

/** The expression with the values of Grafana's variables: every drop-down shows All. */
export function filled(expression: string, rateInterval: string): string {
  return expression
    .replaceAll('$__rate_interval', rateInterval)
    .replaceAll(/\$(cluster|namespace|name)\b/g, '.*');
}

/** The name of a series in a legend. */
export function legendOf(format: string, labels: Readonly<Record<string, string>>): string {
  return format.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? '').trim();
}
