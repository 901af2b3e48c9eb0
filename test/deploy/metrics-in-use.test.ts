/** The rules and the dashboard of deploy/ ask only for series that an election reports, by labels and values that these have. */
import { readFile } from 'node:fs/promises';
import { loadYaml } from '@kubernetes/client-node';
import { Registry } from 'prom-client';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  leaderErrorCodes,
  type ElectionFact,
  type LeadershipTerm,
  type TermEndReason,
} from '../../lib/election/index.js';
import { prometheusMetrics } from '../../lib/metrics/prometheus.js';
import { anchorsOf } from '../package/consumer.js';
import { readDashboard } from './dashboard.js';

const RULES = 'deploy/prometheus/rules.yaml';
/** The labels that Prometheus adds to its targets. */
const TARGET_LABELS = ['cluster', 'namespace', 'pod', 'instance'];

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface RuleGroups {
  readonly groups: readonly { readonly rules: readonly Rule[] }[];
}

/** An expression, and the labels that a text beside it shows. */
interface Use {
  readonly where: string;
  readonly expr: string;
  readonly shown: readonly string[];
}

type LabelValues = ReadonlyMap<string, ReadonlySet<string>>;

let rules: readonly Rule[];
const uses: Use[] = [];
/** The values of each label, by the name of the series. */
const series = new Map<string, LabelValues>();

beforeAll(async () => {
  rules = loadYaml<RuleGroups>(await readFile(RULES, 'utf8')).groups.flatMap((group) => group.rules);
  for (const { record, alert, expr, annotations = {} } of rules) {
    const text = Object.values(annotations).join(' ');
    const shown = [...text.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => String(label));
    uses.push({ where: alert ?? String(record), expr, shown });
  }
  for (const { title, targets } of (await readDashboard()).panels)
    for (const { expr, legendFormat } of targets) {
      const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => String(label));
      uses.push({ where: title, expr, shown });
    }
  for (const [name, labels] of await reported()) series.set(name, labels);
});

/** Every series of an election to which everything has happened that is measured. */
async function reported(): Promise<Map<string, Map<string, Set<string>>>> {
  const register = new Registry();
  const meter = prometheusMetrics(register).meter({ leaseName: 'billing', election: 'default' });
  for (const fact of everything) meter(fact);
  const found = new Map<string, Map<string, Set<string>>>();
  for (const [, name = '', labels = ''] of (await register.metrics()).matchAll(/^(\w+)\{(.*)\} /gm)) {
    const known = found.get(name) ?? new Map<string, Set<string>>();
    for (const [, label = '', value = ''] of labels.matchAll(/(\w+)="([^"]*)"/g))
      known.set(label, (known.get(label) ?? new Set()).add(value));
    found.set(name, known);
  }
  return found;
}

const term = { isOver: false, remaining: () => 7_000 } as unknown as LeadershipTerm;
const reasons = Object.keys({
  released: true,
  deadline: true,
  superseded: true,
  leaseGone: true,
  termLimit: true,
  steppedDown: true,
  stopped: true,
} satisfies Record<TermEndReason, true>) as TermEndReason[];
const outcomes = ['run', 'skipped', 'deferred', 'rejected', 'answered'] as const;
const everything: readonly ElectionFact[] = [
  { type: 'joined' },
  { type: 'watch', isOpen: true },
  { type: 'termBegan', term, takeover: 'none' },
  { type: 'slowPath' },
  { type: 'draining', pieces: 1 },
  ...(['renewed', 'conflict', 'failed'] as const).map(
    (outcome) => ({ type: 'renewal', outcome, latencyMs: 5 }) as const,
  ),
  ...reasons.map((reason) => ({ type: 'termEnded', term, reason, lengthMs: 1_000 }) as const),
  ...leaderErrorCodes.map((code) => ({ type: 'failed', code }) as const),
  ...outcomes.map((outcome) => ({ type: 'call', outcome }) as const),
];

interface Selector {
  readonly name: string;
  readonly matchers: string;
}

/** The series that an expression selects. Of a recorded one those that it is made of, with the matchers of both. */
function selectorsIn(expr: string): Selector[] {
  return [...expr.matchAll(/(\w+:)?(leader_election_\w+)(:\w+)?(?:\s*\{([^}]*)\})?/g)].flatMap(
    ([, level, metric = '', operation, matchers = '']) => {
      if (level === undefined) return [{ name: metric, matchers }];
      const record = `${level}${metric}${operation ?? ''}`;
      const made = rules.find((rule) => rule.record === record);
      if (made === undefined) throw new Error(`no rule records ${record}`);
      return selectorsIn(made.expr).map((inner) => ({
        name: inner.name,
        matchers: `${inner.matchers},${matchers}`,
      }));
    },
  );
}

describe('every expression', () => {
  it('names metrics that exist', () => {
    for (const { where, expr } of uses) {
      const names = selectorsIn(expr).map(({ name }) => name);
      expect(names, where).not.toEqual([]);
      expect([...series.keys()], where).toEqual(expect.arrayContaining(names));
    }
  });

  it('selects by labels that they have, and by values that may occur', () => {
    for (const { where, expr } of uses)
      for (const { name, matchers } of selectorsIn(expr))
        for (const [, label = '', value = ''] of matchers.matchAll(/(\w+)(?:=~|!~|!=|=)"([^"]*)"/g)) {
          if (TARGET_LABELS.includes(label)) continue;
          const values = series.get(name)?.get(label);
          expect(values, `${where}: ${name} by ${label}`).toBeDefined();
          if (!value.startsWith('$'))
            expect([...(values ?? [])], `${where}: ${label}`).toEqual(
              expect.arrayContaining(value.split('|')),
            );
        }
  });

  it('adds up by labels that they have, and keeps those that its texts show', () => {
    for (const { where, expr, shown } of uses) {
      const selectors = selectorsIn(expr);
      const known = (label: string): boolean =>
        TARGET_LABELS.includes(label) || selectors.every(({ name }) => series.get(name)?.has(label) === true);
      const kept = [...expr.matchAll(/\bby \(([^)]*)\)/g)].map(([, list = '']) => list.split(/,\s*/));
      for (const label of kept.flat()) expect(known(label), `${where} by ${label}`).toBe(true);
      for (const label of shown)
        expect(
          known(label) && kept.every((list) => list.includes(label) || list.includes('le')),
          `${where} shows ${label}`,
        ).toBe(true);
    }
  });

  it('together they use every metric there is', () => {
    const used = new Set(uses.flatMap(({ expr }) => selectorsIn(expr).map(({ name }) => familyOf(name))));
    expect([...used].sort()).toEqual([...new Set([...series.keys()].map(familyOf))].sort());
  });
});

/** The name of the histogram that a series belongs to. */
function familyOf(name: string): string {
  return name.replace(/_(bucket|count|sum)$/, '');
}

/** The codes that an expression selects. */
function codesOf(expr: string): readonly string[] {
  const [, operator, list = ''] = /code(=~|!=)"([^"]*)"/.exec(expr) ?? [];
  const codes = list.split('|');
  return operator === '!=' ? leaderErrorCodes.filter((code) => !codes.includes(code)) : codes;
}

describe('every alert', () => {
  it('has a severity, a summary, a description, and a page that is there', async () => {
    for (const { alert, expr, labels, annotations = {} } of rules) {
      if (alert === undefined) continue;
      expect(labels?.['severity'], alert).toMatch(/^(critical|warning)$/);
      expect(Object.keys(annotations), alert).toEqual(['summary', 'description', 'runbook']);
      const [page = '', anchor = ''] = String(annotations['runbook']).split('#');
      const anchors = anchorsOf(await readFile(page, 'utf8'));
      const codes = anchor.startsWith('{{') ? codesOf(expr) : [anchor];
      expect(anchors, alert).toEqual(expect.arrayContaining(codes.map((code) => code.toLowerCase())));
    }
  });

  it('is in the table of docs/metrics.md, in the same order and with its severity', async () => {
    const text = await readFile('docs/metrics.md', 'utf8');
    const rows = [...text.matchAll(/^\| `([A-Z]\w+)` +\| (\w+) +\|/gm)].map(([, ...row]) => row);
    const alerts = rules.flatMap(({ alert, labels }) =>
      alert === undefined ? [] : [[alert, labels?.['severity']]],
    );
    expect(rows).toEqual(alerts);
  });

  it('fires in a test of test/deploy/alerts.yaml', async () => {
    const tests = await readFile('test/deploy/alerts.yaml', 'utf8');
    for (const { alert } of rules)
      if (alert !== undefined)
        expect(tests, alert).toMatch(
          new RegExp(
            `alertname="${alert}",alertstate="firing"|alertname: ${alert}\\n.*\\n +exp_alerts:\\n +- `,
          ),
        );
  });
});

it('prometheus-rule.yaml holds the same groups for the Prometheus Operator', async () => {
  const text = await readFile('deploy/prometheus/prometheus-rule.yaml', 'utf8');
  const { spec } = loadYaml<{ spec: unknown }>(text);
  expect(spec).toEqual(loadYaml(await readFile(RULES, 'utf8')));
});
