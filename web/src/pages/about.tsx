// About this platform: what it is, its backups, and where its API is told.

import { BackupService } from "fleetwire/api/v1/backup";
import { client, keyOf, useCall, useChange, useMay } from "../api/query";
import { Answer, Empty, Page, Panel, Wrong } from "../ui/parts";
import { Word } from "../ui/text";
import { At } from "../ui/time";

declare const __VERSION__: string;

export default function About() {
  const may = useMay(BackupService.method.listBackups);
  return (
    <Page title="About">
      <Panel title="Fleetwire">
        <dl className="facts">
          <dt>Console</dt>
          <dd>{__VERSION__}</dd>
          <dt>Platform</dt>
          <dd className="mono">{location.host}</dd>
          <dt>API</dt>
          <dd>
            <a href="/api/docs">Reference</a>, <a href="/api/openapi.json">OpenAPI</a>,{" "}
            <a href="/api/asyncapi.json">AsyncAPI</a>
          </dd>
        </dl>
      </Panel>
      {may && <Backups />}
    </Page>
  );
}

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
            <div className="scroll">
              <table className="table">
                <thead>
                  <tr>
                    <th>Name</th>
                    <th>Made</th>
                    <th className="end">Size</th>
                  </tr>
                </thead>
                <tbody>
                  {rows.map((backup) => (
                    <tr key={backup.name}>
                      <td>
                        <Word>{backup.name}</Word>
                      </td>
                      <td>
                        <At at={backup.createdAt} />
                      </td>
                      <td className="end number">{(Number(backup.sizeBytes) / 1e6).toFixed(1)} MB</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
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
