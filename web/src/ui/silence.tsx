// Keeps alerts quiet for a while: they are shown and not sent. From an alert it takes one press and says the rest.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Alert } from "fleetwire/api/v1/alert";
import { AlertSilenceService, CreateAlertSilenceRequestSchema } from "fleetwire/api/v1/alert_silence";
import { useState } from "react";
import { client, useChange, useMay } from "../api/query";
import { type Draft, fill } from "../form/fields";
import { MessageForm } from "../form/form";
import { WIDGETS } from "../form/widgets";
import { alertsChanged } from "./alerts";
import { Check, Choice, FormDialog, Wrong } from "./parts";
import { useNow } from "./time";

const SPANS = [
  ["1 h", "An hour"],
  ["4 h", "4 hours"],
  ["1 d", "A day"],
  ["7 d", "A week"],
] as const;

/** What the dialog asks for in its own way. */
const WITHOUT = ["duration_seconds", "ends_at", "starts_at"];

export function Silence({ alert }: { alert: Alert }) {
  const may = useMay(AlertSilenceService.method.createAlertSilence);
  const [open, setOpen] = useState(false);
  const now = useNow();
  const silenced = alert.silencedUntil !== undefined && timestampMs(alert.silencedUntil) > now;
  if (!may || alert.resolvedAt || silenced) return null;
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Silence
      </button>
      {open && (
        <MakeSilence
          begin={{ rule_id: alert.ruleId, ...(alert.hostId && { host_id: alert.hostId }) }}
          reason={`Known: ${alert.rule}`}
          onClose={() => setOpen(false)}
        />
      )}
    </>
  );
}

export function MakeSilence({
  begin,
  reason,
  onClose,
}: {
  /** What it is to match, to begin with. */
  begin: Draft;
  reason: string;
  onClose: () => void;
}) {
  const [draft, setDraft] = useState<Draft>({ reason, matcher: begin });
  const [span, setSpan] = useState<string>(SPANS[0][0]);
  const [all, setAll] = useState(false);
  const [asked, setAsked] = useState(false);
  const make = useChange(AlertSilenceService.method.createAlertSilence, () => {
    void client.invalidateQueries({ queryKey: [AlertSilenceService.method.listAlertSilences.name] });
    alertsChanged();
    onClose();
  });
  const { value, faults } = fill(CreateAlertSilenceRequestSchema, { ...draft, duration_seconds: span });
  // What matches nothing in particular matches everything: that is said, not left out.
  const matcher = (draft.matcher as Draft | undefined) ?? {};
  const everything = !Object.values(matcher).some(
    (typed) => typeof typed === "string" && typed.trim() !== "",
  );
  const whole = faults.size === 0 && (!everything || all);
  return (
    <FormDialog
      title="Silence alerts"
      action="Silence"
      pending={make.isPending}
      error={make.error}
      onSubmit={() => {
        setAsked(true);
        if (whole) make.mutate(value);
      }}
      onClose={onClose}
    >
      <p className="muted">They are shown, and nobody is told. What still fires at the end is told then.</p>
      <div className="field">
        <span className="label">For</span>
        <Choice label="For" value={span} options={SPANS} onChange={setSpan} />
      </div>
      <MessageForm
        desc={CreateAlertSilenceRequestSchema}
        draft={draft}
        faults={asked ? faults : NONE}
        without={WITHOUT}
        widgets={WIDGETS}
        onChange={setDraft}
      />
      {everything && <Check label="All alerts of the fleet" checked={all} onChange={setAll} />}
      {asked && !whole && (
        <Wrong
          error={
            new Error(
              faults.size
                ? "Something of it is not filled in as it has to be."
                : "Choose a rule, a host, a group or labels, or say that all alerts are meant.",
            )
          }
        />
      )}
    </FormDialog>
  );
}

const NONE = new Map<string, string>();
