// The audit log: looked through, checked, and taken along.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AuditService, ExportAuditRequestSchema } from "fleetwire/api/v1/audit";
import { useEffect, useRef, useState } from "react";
import { useSearchParams } from "react-router";
import { route, send } from "../api/call";
import { useList } from "../api/query";
import { token } from "../api/session";
import { type Chain, ChainCheck } from "../ui/audit-chain";
import { AuditRows } from "../ui/audit-rows";
import { Answer, More, Page, Wrong } from "../ui/parts";

/** What is asked for in fields of text, by the address's own words. */
const FILTERS = [
  ["actor", "Who"],
  ["action", "What, such as session."],
  ["host", "Host"],
] as const;

export default function Audit() {
  const [query, setQuery] = useSearchParams();
  const of = (name: string) => query.get(name) ?? "";
  const form = useRef<HTMLFormElement>(null);
  // What the fields say is what is in force, also once the address changed otherwise: by the browser's way back.
  useEffect(() => {
    for (const field of form.current?.querySelectorAll("input") ?? [])
      field.value = query.get(field.name) ?? "";
  }, [query]);
  const since = Date.parse(of("since"));
  const entries = useList(AuditService.method.listAuditEntries, {
    actor: of("actor"),
    action: of("action"),
    host: of("host"),
    since: Number.isNaN(since) ? undefined : timestampFromMs(since),
    pageSize: 100,
  });
  return (
    <Page title="Audit" actions={<Whole />}>
      <section className="panel">
        <header>
          <search>
            <form
              ref={form}
              className="filters"
              onSubmit={(event) => {
                event.preventDefault();
                const asked = [...new FormData(event.currentTarget)].map(([name, value]) => [
                  name,
                  String(value),
                ]);
                setQuery(asked.filter(([, value]) => value) as [string, string][]);
              }}
            >
              {FILTERS.map(([name, label]) => (
                <input
                  key={name}
                  name={name}
                  aria-label={label}
                  placeholder={label}
                  defaultValue={of(name)}
                />
              ))}
              <input type="datetime-local" name="since" aria-label="Since" defaultValue={of("since")} />
              <button type="submit">Search</button>
            </form>
          </search>
        </header>
        <Answer of={entries}>
          {({ pages }) => (
            <>
              <AuditRows entries={pages.flatMap(({ entries }) => entries)} />
              <More of={entries} />
            </>
          )}
        </Answer>
      </section>
    </Page>
  );
}

/** Reads the whole log from the platform, and hands on each of its lines. */
async function exported(line: (text: string) => Promise<void> | void): Promise<void> {
  const asked = route(AuditService.method.exportAudit, create(ExportAuditRequestSchema));
  const answer = await send(asked, await token());
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let piece = await reader?.read(); piece && !piece.done; piece = await reader?.read()) {
    const lines = (text + piece.value).split("\n");
    text = lines.pop() ?? "";
    for (const one of lines) await line(one);
  }
}

/** What is done with the log as a whole. */
function Whole() {
  const [chain, setChain] = useState<Chain>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const doing = (work: () => Promise<void>) => async () => {
    setBusy(true);
    setError(undefined);
    setChain(undefined);
    await work().catch(setError);
    setBusy(false);
  };
  const verify = doing(async () => {
    const check = new ChainCheck();
    await exported((line) => check.take(line));
    setChain(check.result());
  });
  const save = doing(async () => {
    const asked = route(AuditService.method.exportAudit, create(ExportAuditRequestSchema));
    // The browser keeps what comes where it likes, and not as a string of this page's.
    const log = await (await send(asked, await token())).blob();
    const url = URL.createObjectURL(log);
    const link = Object.assign(document.createElement("a"), {
      href: url,
      download: "fleetwire-audit.ndjson",
    });
    link.click();
    URL.revokeObjectURL(url);
  });
  return (
    <>
      <span role="status">
        {chain &&
          (chain.broken === undefined ? (
            <span className="note good">All {chain.entries} entries follow from one another.</span>
          ) : (
            <span className="note bad">Entry {chain.broken} does not follow from the one before it.</span>
          ))}
      </span>
      <Wrong error={error} />
      {/* Hashing is there in secure contexts alone. */}
      {globalThis.crypto.subtle && (
        <button type="button" disabled={busy} onClick={() => void verify()}>
          Verify
        </button>
      )}
      <button type="button" disabled={busy} onClick={() => void save()}>
        Export
      </button>
    </>
  );
}
