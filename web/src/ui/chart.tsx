// A measure over time: its mean as a line, the most of each piece of time as an area behind it, gaps where nothing was
// reported. Drawn by hand: a library of charts weighs more than the whole console.

import { useState } from "react";

export interface ChartPoint {
  /** In ms since 1970. */
  at: number;
  mean: number;
  max: number;
}

const WIDTH = 600;
const HEIGHT = 96;

export function Chart({
  title,
  points,
  stepMs,
  from,
  until,
  most,
  format,
}: {
  title: string;
  points: ChartPoint[];
  /** How much time a point stands for. */
  stepMs: number;
  from: number;
  until: number;
  /** The top of the scale; absent: what is highest. */
  most?: number;
  format: (value: number) => string;
}) {
  const [at, setAt] = useState<number>();
  const highest = points.reduce((highest, { max }) => Math.max(highest, max), 0);
  const top = most ?? (highest * 1.1 || 1);
  const x = (at: number) => (((at - from) / (until - from)) * WIDTH).toFixed(1);
  const y = (value: number) => (HEIGHT - (Math.min(value, top) / top) * HEIGHT).toFixed(1);
  // A piece ends where the next point is not the next in time.
  const pieces: ChartPoint[][] = [];
  for (const point of points) {
    const piece = pieces.at(-1);
    const before = piece?.at(-1);
    if (piece && before && point.at - before.at < stepMs * 1.5) piece.push(point);
    else pieces.push([point]);
  }
  const end = (point: ChartPoint) => point.at + stepMs;
  const line = pieces.map((piece) => {
    const steps = piece.map((point) => `${x(point.at)} ${y(point.mean)}L${x(end(point))} ${y(point.mean)}`);
    return `M${steps.join("L")}`;
  });
  const area = pieces.map((piece) => {
    const steps = piece.map((point) => `${x(point.at)} ${y(point.max)}L${x(end(point))} ${y(point.max)}`);
    const [first, last] = [piece[0] as ChartPoint, piece.at(-1) as ChartPoint];
    return `M${x(first.at)} ${HEIGHT}L${steps.join("L")}L${x(end(last))} ${HEIGHT}Z`;
  });
  const shown = at === undefined ? points.at(-1) : points.findLast((point) => point.at <= at);
  const mean = points.reduce((sum, point) => sum + point.mean, 0) / points.length;
  return (
    <figure className="chart">
      <figcaption className="between">
        <span>{title}</span>
        <span className="number muted">
          {shown && (
            <>
              {at !== undefined && `${moment.format(shown.at)}: `}
              <strong>{format(shown.mean)}</strong>, at most {format(shown.max)}
            </>
          )}
        </span>
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${title}: ${format(mean)} on average, at most ${format(highest)}`}
        onPointerMove={({ clientX, currentTarget }) => {
          const { left, width } = currentTarget.getBoundingClientRect();
          setAt(from + ((clientX - left) / width) * (until - from));
        }}
        onPointerLeave={() => setAt(undefined)}
      >
        <path className="chart-area" d={area.join("")} />
        <path className="chart-line" d={line.join("")} />
        {at !== undefined && shown && <path className="chart-cursor" d={`M${x(shown.at)} 0V${HEIGHT}`} />}
      </svg>
    </figure>
  );
}

const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "short" });
