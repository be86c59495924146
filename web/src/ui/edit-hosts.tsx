// Changes many hosts alike: labels and groups that each gets or loses. Each host is a change of its own, so that what
// one refuses keeps none of the others from it; what is not named stays as it is.

import { GroupService } from "fleetwire/api/v1/group";
import { HostService } from "fleetwire/api/v1/host";
import { useEffect, useRef, useState } from "react";
import { calling, useCall } from "../api/query";
import { each, type Progress } from "./each";
import { labelsOf } from "./labels";
import { Dialog, Field, says } from "./parts";
import { plain, Word } from "./text";

/** Hosts that failed and are shown with why. */
const FAILED_SHOWN = 20;

export function EditHosts({
  ids,
  nameOf,
  onClose,
}: {
  ids: readonly string[];
  nameOf: (id: string) => string;
  onClose: () => void;
}) {
  const [left, setLeft] = useState(ids);
  const [labels, setLabels] = useState("");
  const [without, setWithout] = useState("");
  const [join, setJoin] = useState("");
  const [leave, setLeave] = useState("");
  const [progress, setProgress] = useState<Progress<string>>();
  const [total, setTotal] = useState(0);
  const stop = useRef<AbortController>(undefined);
  const [busy, setBusy] = useState(false);
  // Whoever leaves the page has not asked for what was not begun.
  useEffect(() => () => stop.current?.abort(), []);
  const groups = useCall(GroupService.method.listGroups, { pageSize: 1000 }).data?.groups ?? [];

  const change = {
    labels: labelsOf(labels),
    // What was typed with a value is meant by its key all the same.
    removeLabels: Object.keys(labelsOf(without)),
    addGroupIds: join ? [join] : [],
    removeGroupIds: leave ? [leave] : [],
  };
  const asks = Object.values(change).some((of) => Object.keys(of).length > 0);
  const apply = async () => {
    if (!asks || busy) return;
    stop.current = new AbortController();
    setBusy(true);
    setTotal(left.length);
    setProgress({ done: 0, failed: [] });
    const { updateHost } = HostService.method;
    const work = (hostId: string) => calling(updateHost, { hostId, ...change });
    setLeft(await each(left, work, setProgress, stop.current.signal));
    setBusy(false);
  };

  const group = (label: string, none: string, value: string, onChange: (id: string) => void) => (
    <Field label={label}>
      {(ids) => (
        <select {...ids} disabled={busy} value={value} onChange={(event) => onChange(event.target.value)}>
          <option value="">{none}</option>
          {groups.map(({ id, name }) => (
            <option key={id} value={id}>
              {plain(name)}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
  const typed = (label: string, hint: string, value: string, onChange: (text: string) => void) => (
    <Field label={label} hint={hint}>
      {(ids) => (
        <textarea
          {...ids}
          rows={2}
          spellCheck={false}
          disabled={busy}
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
  return (
    <Dialog title="Labels and groups" held={busy} onClose={onClose} onSubmit={() => void apply()}>
      {left.length > 0 && (
        <p>
          This changes <strong className="number">{left.length}</strong>{" "}
          {left.length === 1 ? "host" : "hosts"}, one by one. What is not named here stays as it is.
        </p>
      )}
      {typed(
        "Labels to add",
        "One a line, such as site=lab. One that is there gets this value.",
        labels,
        setLabels,
      )}
      {typed("Labels to remove", "Their keys, one a line.", without, setWithout)}
      {groups.length > 0 && (
        <div className="pair">
          {group("Add to group", "None", join, setJoin)}
          {group("Remove from group", "None", leave, setLeave)}
        </div>
      )}
      {progress && (
        <div className="stack" role="status">
          <p className={`note ${progress.failed.length ? "bad" : busy ? "" : "good"}`}>
            {busy
              ? `${progress.done + progress.failed.length} of ${total} …`
              : `${progress.done} of ${total} changed.`}
            {progress.failed.length > 0 && ` ${progress.failed.length} failed.`}
          </p>
          {progress.failed.length > 0 && (
            <ul className="plain-list">
              {progress.failed.slice(0, FAILED_SHOWN).map(({ item, error }) => (
                <li key={item}>
                  <Word>{`${nameOf(item)}: ${says(error)}`}</Word>
                </li>
              ))}
              {progress.failed.length > FAILED_SHOWN && (
                <li className="muted">and {progress.failed.length - FAILED_SHOWN} more</li>
              )}
            </ul>
          )}
        </div>
      )}
      <div className="actions">
        {busy ? (
          <button type="button" onClick={() => stop.current?.abort()}>
            Stop
          </button>
        ) : (
          <button type="button" onClick={onClose}>
            {progress ? "Close" : "Cancel"}
          </button>
        )}
        {left.length > 0 && (
          <button type="submit" className="primary" disabled={busy || !asks}>
            {progress && !busy ? "Try again on" : "Change"} {left.length}{" "}
            {left.length === 1 ? "host" : "hosts"}
          </button>
        )}
      </div>
    </Dialog>
  );
}
