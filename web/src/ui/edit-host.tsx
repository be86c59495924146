// Changes a host: its name, its labels, the groups that it is in. Only what was changed is asked for, and only of the
// state that was shown.

import { GroupService } from "fleetwire/api/v1/group";
import { type Host, HostService } from "fleetwire/api/v1/host";
import { useState } from "react";
import { useCall, useChange } from "../api/query";
import { labelsOf, labelsText } from "./labels";
import { Check, Dialog, Field, Wrong } from "./parts";
import { Word } from "./text";

export function EditHost({ host: now, onClose }: { host: Host; onClose: () => void }) {
  // As it was when the form was opened: what others change meanwhile is not to be undone unseen.
  const [host] = useState(now);
  const [name, setName] = useState(host.name);
  const [labels, setLabels] = useState(labelsText(host.labels));
  const [groupIds, setGroupIds] = useState(new Set(host.groupIds));
  const groups = useCall(GroupService.method.listGroups, { pageSize: 1000 });
  const change = useChange(HostService.method.updateHost, onClose);
  const save = () => {
    const wanted = labelsOf(labels);
    change.mutate({
      hostId: host.id,
      name: name === host.name ? undefined : name.trim(),
      labels: Object.fromEntries(Object.entries(wanted).filter(([key, value]) => host.labels[key] !== value)),
      removeLabels: Object.keys(host.labels).filter((key) => !(key in wanted)),
      addGroupIds: [...groupIds].filter((id) => !host.groupIds.includes(id)),
      removeGroupIds: host.groupIds.filter((id) => !groupIds.has(id)),
      etag: host.etag,
    });
  };
  return (
    <Dialog title="Edit host" onClose={onClose} onSubmit={save}>
      <Field label="Name">
        {(ids) => <input {...ids} required value={name} onChange={(event) => setName(event.target.value)} />}
      </Field>
      <Field label="Labels" hint="One a line, such as site=lab.">
        {(ids) => (
          <textarea
            {...ids}
            rows={4}
            spellCheck={false}
            value={labels}
            onChange={(event) => setLabels(event.target.value)}
          />
        )}
      </Field>
      {groups.data && groups.data.groups.length > 0 && (
        <fieldset className="stack">
          <legend>Groups</legend>
          {groups.data.groups.map(({ id, name }) => (
            <Check
              key={id}
              label={<Word>{name}</Word>}
              checked={groupIds.has(id)}
              onChange={(checked) => {
                const next = new Set(groupIds);
                if (checked) next.add(id);
                else next.delete(id);
                setGroupIds(next);
              }}
            />
          ))}
        </fieldset>
      )}
      <Wrong error={change.error} />
      <div className="actions">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" className="primary" disabled={change.isPending}>
          Save
        </button>
      </div>
    </Dialog>
  );
}
