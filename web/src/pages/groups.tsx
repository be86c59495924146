// Groups of hosts: what users are granted, and when their hosts may be worked on.

import { type Group, GroupService, type MaintenanceWindow, Weekday } from "fleetwire/api/v1/group";
import { useState } from "react";
import { Link } from "react-router";
import { client, keyOf, useChange, useList, useMay } from "../api/query";
import { Answer, Confirm, Dialog, Empty, Field, More, Page, Wrong } from "../ui/parts";
import { Word } from "../ui/text";
import { span } from "../ui/time";

const again = () => void client.invalidateQueries({ queryKey: keyOf(GroupService.method.listGroups) });
const DAYS = ["", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

function windowText({ days, start, minutes, timeZone }: MaintenanceWindow): string {
  const names = days.length === Weekday.SUNDAY ? "daily" : days.map((day) => DAYS[day]).join(", ");
  return `${names} ${start} ${timeZone || "UTC"}, ${span(minutes * 60)}`;
}

export default function Groups() {
  const groups = useList(GroupService.method.listGroups, { pageSize: 100 });
  const may = useMay(GroupService.method.updateGroup);
  const [edited, setEdited] = useState<Group | "new">();
  const [removed, setRemoved] = useState<Group>();
  const remove = useChange(GroupService.method.deleteGroup, () => {
    setRemoved(undefined);
    again();
  });
  return (
    <Page
      title="Groups"
      actions={
        may && (
          <button type="button" className="primary" onClick={() => setEdited("new")}>
            Add a group
          </button>
        )
      }
    >
      <section className="panel">
        <Answer of={groups}>
          {({ pages }) => {
            const rows = pages.flatMap(({ groups }) => groups);
            if (!rows.length) {
              return (
                <Empty title="No groups">
                  A group says which hosts a user is granted, and when they may be worked on.
                </Empty>
              );
            }
            return (
              <>
                <div className="scroll">
                  <table className="table">
                    <thead>
                      <tr>
                        <th>Name</th>
                        <th className="end">Hosts</th>
                        <th className="wide">Maintenance windows</th>
                        <th className="wide">What for</th>
                        <th>
                          <span className="visually-hidden">Change</span>
                        </th>
                      </tr>
                    </thead>
                    <tbody>
                      {rows.map((group) => (
                        <tr key={group.id}>
                          <td>
                            <Link to={`/hosts?group=${group.id}`}>
                              <Word>{group.name}</Word>
                            </Link>
                          </td>
                          <td className="end number">{String(group.hosts)}</td>
                          <td className="wide">
                            {group.maintenanceWindows.map((window) => (
                              <div key={windowText(window)}>{windowText(window)}</div>
                            ))}
                          </td>
                          <td className="wide">
                            <Word>{group.description}</Word>
                          </td>
                          <td className="end nowrap">
                            {may && (
                              <>
                                <button type="button" onClick={() => setEdited(group)}>
                                  Edit
                                </button>{" "}
                                <button type="button" className="danger" onClick={() => setRemoved(group)}>
                                  Remove
                                </button>
                              </>
                            )}
                          </td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </div>
                <More of={groups} />
              </>
            );
          }}
        </Answer>
      </section>
      {edited && <Edit group={edited === "new" ? undefined : edited} onClose={() => setEdited(undefined)} />}
      {removed && (
        <Confirm
          title="Remove this group?"
          action="Remove"
          danger
          pending={remove.isPending}
          error={remove.error}
          onConfirm={() => remove.mutate({ groupId: removed.id, etag: removed.etag })}
          onClose={() => setRemoved(undefined)}
        >
          <p>Its hosts stay. Whoever was granted it no longer is.</p>
        </Confirm>
      )}
    </Page>
  );
}

function Edit({ group, onClose }: { group: Group | undefined; onClose: () => void }) {
  const [name, setName] = useState(group?.name ?? "");
  const [description, setDescription] = useState(group?.description ?? "");
  const done = () => {
    onClose();
    again();
  };
  const create = useChange(GroupService.method.createGroup, done);
  const update = useChange(GroupService.method.updateGroup, done);
  const save = () => {
    const what = { name: name.trim(), description: description.trim() };
    if (group) update.mutate({ groupId: group.id, etag: group.etag, ...what });
    else create.mutate(what);
  };
  return (
    <Dialog title={group ? "Edit group" : "Add a group"} onClose={onClose} onSubmit={save}>
      <Field label="Name" hint="Letters, digits, hyphens, underscores or dots.">
        {(ids) => (
          <input
            {...ids}
            name="name"
            required
            autoComplete="off"
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      <Field label="What for">
        {(ids) => (
          <input {...ids} value={description} onChange={(event) => setDescription(event.target.value)} />
        )}
      </Field>
      <Wrong error={create.error ?? update.error} />
      <div className="actions">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" className="primary" disabled={create.isPending || update.isPending}>
          Save
        </button>
      </div>
    </Dialog>
  );
}
