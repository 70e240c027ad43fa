/** What the detectors saw: reason, numbers, and the signal around the event as a chart. */

import uPlot from "uplot";
import { useEffect, useRef } from "preact/hooks";
import type { Alarm, Evidence } from "../data/types";
import { clock, code, numberName, t } from "../i18n";

const COLOURS = ["#b3261e", "#1d6fa5", "#2e7d32"];
const HEIGHT = 170;
/** Numbers that are 0 or 1. */
const FLAGS = ["night", "stands_open"];

export function EvidencePanel({ alarms }: { alarms: readonly Alarm[] }) {
  return (
    <section class="panel">
      <h2>{t("incident.evidence")}</h2>
      {alarms.map((alarm) => (
        <div key={alarm.alarm_id} class="alarm">
          <p class="muted">
            {[clock(alarm.at), ...new Set([code("kind", alarm.kind), code("reason", alarm.reason)])].join(" · ")}
          </p>
          {alarm.evidence.map((evidence, i) => (
            <EvidenceItem evidence={evidence} alarm={alarm} key={i} />
          ))}
        </div>
      ))}
    </section>
  );
}

function EvidenceItem({ evidence, alarm }: { evidence: Evidence; alarm: Alarm }) {
  const said = evidence.reason === alarm.reason && clock(evidence.at) === clock(alarm.at);
  return (
    <>
      <p>
        {!said && `${clock(evidence.at)} · ${code("reason", evidence.reason)} `}
        <span class="muted">{evidence.device}</span>
      </p>
      {evidence.excerpt && <Chart excerpt={evidence.excerpt} mark={alarm.at} />}
      <dl class="numbers">
        {Object.entries(evidence.numbers).map(([name, value]) => (
          <div key={name}>
            <dt>{numberName(name)}</dt>
            <dd>{numberValue(name, value)}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}

/** A number as it is read; a flag as a word, and nothing where the name says it all. */
function numberValue(name: string, value: number): string {
  if (name.endsWith("_missing")) return "";
  if (FLAGS.includes(name)) return t(value ? "value.true" : "value.false");
  return String(Number(value.toPrecision(3)));
}

function Chart({ excerpt, mark }: { excerpt: NonNullable<Evidence["excerpt"]>; mark: number }) {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!host.current) return;
    const times = excerpt.samples.map((_, i) => excerpt.at + i / excerpt.rate_hz - mark);
    const channels = excerpt.channels.map((_, c) => excerpt.samples.map((row) => row[c] ?? null));
    const plot = new uPlot(
      {
        width: host.current.clientWidth,
        height: HEIGHT,
        cursor: { y: false },
        legend: { live: false },
        scales: { x: { time: false } },
        axes: [{ label: "s", size: 34, labelSize: 14 }, { label: excerpt.unit, size: 42, labelSize: 14 }],
        series: [
          { value: (_, v) => (v == null ? "–" : `${v.toFixed(2)} s`) },
          ...excerpt.channels.map((name, c) => ({ label: name, stroke: COLOURS[c % COLOURS.length]!, width: 1.2 })),
        ],
        hooks: { draw: [drawMark] },
      },
      [times, ...channels],
      host.current,
    );
    const resize = new ResizeObserver(() => host.current && plot.setSize({ width: host.current.clientWidth, height: HEIGHT }));
    resize.observe(host.current);
    return () => {
      resize.disconnect();
      plot.destroy();
    };
  }, [excerpt]);
  return <div class="chart" ref={host} data-testid="excerpt" role="img" aria-label={t("incident.evidence")} />;
}

/** A dashed line at the moment of the event. */
function drawMark(plot: uPlot): void {
  const x = plot.valToPos(0, "x", true);
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.setLineDash([4, 4]);
  ctx.strokeStyle = "#555";
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.restore();
}
