// About this platform: what it is, its backups, and where its API is told.

import { type Backup, BackupService } from "fleetwire/api/v1/backup";
import { type FleetPlatform, FleetService, type FleetSummary } from "fleetwire/api/v1/fleet";
import { Fragment } from "react";
import { client, keyOf, useCall, useChange, useMay } from "../api/query";
import { Answer, Empty, Meter, Page, Panel, Wrong } from "../ui/parts";
import { type Column, Table } from "../ui/table";
import { Word } from "../ui/text";
import { At, When } from "../ui/time";
import { bytes } from "../ui/words";

declare const __VERSION__: string;

export default function About() {
  const may = useMay(BackupService.method.listBackups);
  const summary = useCall(FleetService.method.getFleetSummary, {}).data?.summary;
  return (
    <Page title="About">
      <Panel title="Fleetwire">
        <dl className="facts">
          <dt>Console</dt>
          <dd>{__VERSION__}</dd>
          <dt>Address</dt>
          <dd className="mono">{location.host}</dd>
          <dt>API</dt>
          <dd>
            <a href="/api/docs">Reference</a>, <a href="/api/openapi.json">OpenAPI</a>,{" "}
            <a href="/api/asyncapi.json">AsyncAPI</a>
          </dd>
        </dl>
      </Panel>
      {summary?.platform && <Platform platform={summary.platform} />}
      {summary && <Figures summary={summary} />}
      {may && <Backups />}
    </Page>
  );
}

function Platform({ platform }: { platform: FleetPlatform }) {
  const { storageBytes, storageFreeBytes } = platform;
  const free = bytes(Number(storageFreeBytes));
  const used = storageBytes ? Number(((storageBytes - storageFreeBytes) * 1000n) / storageBytes) / 10 : 0;
  return (
    <Panel title="Platform">
      <dl className="facts">
        <dt>Version</dt>
        <dd>
          <Word>{platform.version}</Word>
        </dd>
        <dt>Runs since</dt>
        <dd>
          <At at={platform.startedAt} /> (<When at={platform.startedAt} />)
        </dd>
        <dt>Certificate</dt>
        <dd>
          ends <When at={platform.certificateExpiresAt} />, on <At at={platform.certificateExpiresAt} />
        </dd>
        <dt>Authority</dt>
        <dd>
          ends <When at={platform.authorityExpiresAt} />, on <At at={platform.authorityExpiresAt} />
        </dd>
        <dt>Database</dt>
        <dd className="number">{bytes(Number(platform.databaseBytes))}</dd>
        <dt>Storage</dt>
        <dd>
          <Meter label={`In use, of ${bytes(Number(storageBytes))}: ${free} are free`} value={used} />
        </dd>
      </dl>
    </Panel>
  );
}

/** What it does at present, of what the caller may see. */
function Figures({ summary }: { summary: FleetSummary }) {
  const { hosts, sessions, commands, deliveries, deadLetters, alerts } = summary;
  const figures: [string, string][] = [
    ["Hosts", `${hosts?.online ?? 0} online of ${hosts?.total ?? 0}`],
    ["Console sessions", String(sessions)],
    ["Commands under way", String(commands)],
    [
      "Deliveries",
      `${deliveries?.queued ?? 0} wait, ${(deliveries?.sent ?? 0n) + (deliveries?.received ?? 0n)} are at their hosts, ${deliveries?.running ?? 0} run`,
    ],
    ["Dead letters", String(deadLetters)],
    [
      "Alerts",
      `${alerts?.critical ?? 0} critical, ${alerts?.warning ?? 0} warnings, ${alerts?.info ?? 0} to be known`,
    ],
  ];
  return (
    <Panel title="At present">
      <dl className="facts">
        {figures.map(([name, figure]) => (
          <Fragment key={name}>
            <dt>{name}</dt>
            <dd className="number">{figure}</dd>
          </Fragment>
        ))}
      </dl>
    </Panel>
  );
}

const BACKUPS: readonly Column<Backup>[] = [
  { head: "Name", lead: true, cell: (backup) => <Word>{backup.name}</Word> },
  { head: "Made", cell: (backup) => <At at={backup.createdAt} /> },
  { head: "Size", number: true, cell: (backup) => bytes(Number(backup.sizeBytes)) },
];

function Backups() {
  const backups = useCall(BackupService.method.listBackups, {});
  const make = useChange(
    BackupService.method.createBackup,
    () => void client.invalidateQueries({ queryKey: keyOf(BackupService.method.listBackups) }),
  );
  return (
    <Panel
      title="Backups"
      flush
      actions={
        <>
          <Wrong error={make.error} />
          <button type="button" disabled={make.isPending} onClick={() => make.mutate({})}>
            Make a backup
          </button>
        </>
      }
    >
      <Answer of={backups}>
        {({ backups: rows }) => {
          return rows.length ? (
            <Table rows={rows} columns={BACKUPS} name={({ name }) => name} />
          ) : (
            <Empty title="No backups">
              They stand in the platform's data directory, and are to be kept elsewhere too.
            </Empty>
          );
        }}
      </Answer>
    </Panel>
  );
}
