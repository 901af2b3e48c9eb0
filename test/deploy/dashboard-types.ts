/** deploy/grafana/dashboard.json, as Grafana's package of types describes it. */
import type { Dashboard, Panel } from '@grafana/schema';
import type { Options as StatOptions } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type {
  FieldConfig as TimelineStyle,
  Options as TimelineOptions,
} from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type {
  FieldConfig as LineStyle,
  Options as LineOptions,
} from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

/** In JSON the members of a string enumeration are strings. */
type AsJson<T> = T extends string
  ? `${T}`
  : T extends readonly (infer E)[]
    ? AsJson<E>[]
    : T extends object
      ? { [K in keyof T]: AsJson<T[K]> }
      : T;

interface Target {
  readonly refId: string;
  readonly datasource: { readonly type: 'prometheus'; readonly uid: '${datasource}' };
  readonly expr: string;
  readonly legendFormat: string;
  readonly instant?: boolean;
  readonly range: boolean;
}

type Defaults = NonNullable<Panel['fieldConfig']>['defaults'];

type PanelOf<Type extends string, Options, Style> = AsJson<
  Required<Pick<Panel, 'id' | 'title' | 'description' | 'gridPos' | 'datasource'>>
> & {
  readonly type: Type;
  readonly targets: readonly Target[];
  readonly options: AsJson<Partial<Options>>;
  readonly fieldConfig: {
    readonly defaults: AsJson<Omit<Defaults, 'custom'> & { custom?: Style }>;
    readonly overrides: readonly never[];
  };
};

export type DashboardPanel =
  | PanelOf<'stat', StatOptions, never>
  | PanelOf<'timeseries', LineOptions, LineStyle>
  | PanelOf<'state-timeline', TimelineOptions, TimelineStyle>;

export type DashboardFile = AsJson<Omit<Dashboard, 'panels'>> & {
  readonly panels: readonly DashboardPanel[];
};
