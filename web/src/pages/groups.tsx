// Groups of hosts: what users are granted, and when their hosts may be worked on.

import {
  type Group,
  GroupService,
  type MaintenanceWindow,
  MaintenanceWindowSchema,
  Weekday,
} from "fleetwire/api/v1/group";
import { useState } from "react";
import { Link } from "react-router";
import { calling, useChange, useMay } from "../api/query";
import { type Draft, draftOf, fill } from "../form/fields";
import { MessageForm } from "../form/form";
import { FormDialog, TextField } from "../ui/parts";
import { type Opened, Register } from "../ui/register";
import type { Column } from "../ui/table";
import { Word } from "../ui/text";
import { span } from "../ui/time";

const DAYS = ["", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/** As many the schema takes. */
const WINDOWS_MAX = 16;

function windowText({ days, start, minutes, timeZone }: MaintenanceWindow): string {
  const names = days.length === Weekday.SUNDAY ? "daily" : days.map((day) => DAYS[day]).join(", ");
  return `${names} ${start} ${timeZone || "UTC"}, ${span(minutes * 60)}`;
}

const COLUMNS: readonly Column<Group>[] = [
  {
    head: "Name",
    lead: true,
    cell: (group) => (
      <Link to={`/hosts?group=${group.id}`}>
        <Word>{group.name}</Word>
      </Link>
    ),
  },
  { head: "Hosts", number: true, cell: (group) => String(group.hosts) },
  {
    head: "Maintenance windows",
    cell: (group) =>
      group.maintenanceWindows.length ? (
        group.maintenanceWindows.map((window) => (
          <div key={windowText(window)}>
            <Word>{windowText(window)}</Word>
          </div>
        ))
      ) : (
        <span className="muted">none</span>
      ),
  },
  { head: "What for", wide: true, cell: (group) => <Word>{group.description}</Word> },
];

export default function Groups() {
  const may = useMay(GroupService.method.updateGroup);
  return (
    <Register
      title="Groups"
      method={GroupService.method.listGroups}
      request={{ pageSize: 100 }}
      rows={({ groups }) => groups}
      name={({ id }) => id}
      columns={COLUMNS}
      empty={{
        title: "No groups",
        text: "A group says which hosts a user is granted, and when they may be worked on.",
      }}
      add={may ? "Add a group" : undefined}
      dialog={(group, opened) => <Edit group={group} opened={opened} />}
      edit={may ? () => true : undefined}
      remove={
        may
          ? {
              word: "Remove",
              title: "Remove this group?",
              act: ({ id, etag }) => calling(GroupService.method.deleteGroup, { groupId: id, etag }),
              text: () => "Its hosts stay. Whoever was granted it no longer is.",
            }
          : undefined
      }
    />
  );
}

/** A window that is being filled in; its number is its name, as it has no other. */
interface Typed {
  number: number;
  draft: Draft;
}

function Edit({ group, opened }: { group: Group | undefined; opened: Opened }) {
  const [name, setName] = useState(group?.name ?? "");
  const [description, setDescription] = useState(group?.description ?? "");
  const [windows, setWindows] = useState<Typed[]>(
    (group?.maintenanceWindows ?? []).map((window, number) => ({
      number,
      draft: draftOf(MaintenanceWindowSchema, window),
    })),
  );
  const [asked, setAsked] = useState(false);
  const done = () => {
    opened.close();
    opened.changed();
  };
  const create = useChange(GroupService.method.createGroup, done);
  const update = useChange(GroupService.method.updateGroup, done);
  const filled = windows.map(({ draft }) => fill(MaintenanceWindowSchema, draft));
  const save = () => {
    setAsked(true);
    const what = { name: name.trim(), description: description.trim() };
    if (!group) return create.mutate(what);
    if (filled.some(({ faults }) => faults.size > 0)) return;
    update.mutate({
      groupId: group.id,
      etag: group.etag,
      ...what,
      maintenanceWindows: { windows: filled.map(({ value }) => value) },
    });
  };
  const next = Math.max(-1, ...windows.map(({ number }) => number)) + 1;
  return (
    <FormDialog
      title={group ? "Edit group" : "Add a group"}
      action="Save"
      pending={create.isPending || update.isPending}
      error={create.error ?? update.error}
      onSubmit={save}
      onClose={opened.close}
    >
      <TextField
        label="Name"
        hint="Letters, digits, hyphens, underscores or dots."
        name="name"
        required
        value={name}
        onChange={setName}
      />
      <TextField label="What for" name="description" value={description} onChange={setDescription} />
      {group && (
        <section className="stack" aria-label="Maintenance windows">
          <h3>Maintenance windows</h3>
          {windows.map((window, index) => (
            <fieldset className="form window" key={window.number}>
              <legend className="visually-hidden">Window {index + 1}</legend>
              <MessageForm
                desc={MaintenanceWindowSchema}
                draft={window.draft}
                faults={(asked && filled[index]?.faults) || NONE}
                onChange={(draft) =>
                  setWindows(windows.map((one) => (one.number === window.number ? { ...one, draft } : one)))
                }
              />
              <button
                type="button"
                className="danger"
                onClick={() => setWindows(windows.filter(({ number }) => number !== window.number))}
              >
                Remove this window
              </button>
            </fieldset>
          ))}
          {windows.length < WINDOWS_MAX && (
            <button type="button" onClick={() => setWindows([...windows, { number: next, draft: {} }])}>
              Add a window
            </button>
          )}
        </section>
      )}
    </FormDialog>
  );
}

const NONE = new Map<string, string>();
