// How a host has been: the measures of its reports and of its link over a day, two weeks or a quarter of a year.

import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type GetHostHealthResponse,
  type HealthMeasure,
  type HealthPoint,
  HealthStep,
} from "fleetwire/api/v1/health";
import { HostService } from "fleetwire/api/v1/host";
import { useEffect, useMemo, useState } from "react";
import { useCall } from "../api/query";
import { Chart } from "./chart";
import { Answer, Choice, Empty, Panel } from "./parts";
import { span } from "./time";
import { bytes } from "./words";

const DAY_MS = 86_400_000;
const RANGES = [
  ["1", "A day"],
  ["14", "Two weeks"],
  ["90", "90 days"],
] as const;
const STEP_MS: Record<HealthStep, number> = {
  [HealthStep.UNSPECIFIED]: 60_000,
  [HealthStep.MINUTE]: 60_000,
  [HealthStep.QUARTER]: 15 * 60_000,
  [HealthStep.THREE_HOURS]: 3 * 3_600_000,
};

const percent = (value: number) => `${Math.round(value)} %`;

/** The measures that have a chart, by their field. */
const MEASURES: readonly {
  title: string;
  of: (point: HealthPoint) => HealthMeasure | undefined;
  most?: number;
  format: (value: number) => string;
}[] = [
  { title: "Processor", of: ({ cpuPercent }) => cpuPercent, most: 100, format: percent },
  { title: "Memory", of: ({ memoryPercent }) => memoryPercent, most: 100, format: percent },
  { title: "Fullest disk", of: ({ diskPercent }) => diskPercent, most: 100, format: percent },
  { title: "Load", of: ({ loadAverage }) => loadAverage, format: (value) => value.toFixed(2) },
  {
    title: "Hottest sensor",
    of: ({ temperatureCelsius }) => temperatureCelsius,
    format: (value) => `${value.toFixed(0)} °C`,
  },
  { title: "Round trip", of: ({ roundTripMs }) => roundTripMs, format: (value) => `${value.toFixed(1)} ms` },
];

export function HealthHistory({ hostId, seenAt }: { hostId: string; seenAt: Timestamp | undefined }) {
  const [days, setDays] = useState<string>(RANGES[0][0]);
  const since = useMemo(() => Date.now() - Number(days) * DAY_MS, [days]);
  const history = useCall(
    HostService.method.getHostHealth,
    { hostId, since: timestampFromMs(since) },
    { keep: true },
  );
  // A report of another minute than the last means that one is whole.
  const minute = seenAt && Math.floor(timestampMs(seenAt) / 60_000);
  const { refetch } = history;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the minute is what it hangs on
  useEffect(() => {
    if (minute) void refetch();
  }, [minute]);
  return (
    <Panel
      title="History"
      actions={<Choice label="How far back" value={days} options={RANGES} onChange={setDays} />}
    >
      <Answer of={history}>{(answer) => <Charts answer={answer} since={since} />}</Answer>
    </Panel>
  );
}

function Charts({ answer: { points, step }, since }: { answer: GetHostHealthResponse; since: number }) {
  const stepMs = STEP_MS[step] ?? STEP_MS[0];
  if (!points.length)
    return (
      <Empty title="No history yet">A point is there for each minute in which the agent reported.</Empty>
    );
  const until = Math.max(Date.now(), since + 1);
  const total = (of: (point: HealthPoint) => bigint) =>
    Number(points.reduce((sum, point) => sum + of(point), 0n));
  return (
    <div className="stack">
      <div className="columns">
        {MEASURES.map(({ title, of, most, format }) => {
          const shown = points.flatMap((point) => {
            const measure = of(point);
            return measure && point.at
              ? [{ at: timestampMs(point.at), mean: measure.mean, max: measure.max }]
              : [];
          });
          if (!shown.length) return null;
          return (
            <Chart
              key={title}
              title={title}
              points={shown}
              stepMs={stepMs}
              from={since}
              until={until}
              most={most}
              format={format}
            />
          );
        })}
      </div>
      <dl className="facts">
        <dt>Connected</dt>
        <dd className="number">{span(total(({ onlineSeconds }) => onlineSeconds))}</dd>
        <dt>Came back</dt>
        <dd className="number">{total(({ reconnects }) => reconnects)} times</dd>
        <dt>Bytes</dt>
        <dd className="number">
          {bytes(total(({ bytesFromAgent }) => bytesFromAgent))} from the agent,{" "}
          {bytes(total(({ bytesToAgent }) => bytesToAgent))} to it
        </dd>
      </dl>
    </div>
  );
}
