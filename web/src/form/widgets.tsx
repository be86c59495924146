// Fields that hold the id of something: chosen by its name. Which these are follows from the field's name, so that a
// message that gets such a field later has it chosen as well.

import { AlertChannelService } from "fleetwire/api/v1/alert_channel";
import { AlertRuleService } from "fleetwire/api/v1/alert_rule";
import { GroupService } from "fleetwire/api/v1/group";
import { HostService } from "fleetwire/api/v1/host";
import { useState } from "react";
import { useCall, useList, useMay } from "../api/query";
import { Check, Field } from "../ui/parts";
import { plain, Word } from "../ui/text";
import type { Widget, Widgets } from "./form";

export const WIDGETS: Widgets = {
  group_id: (widget) => <GroupField {...widget} label="Group" />,
  host_id: (widget) => <HostField {...widget} label="Host" />,
  rule_id: (widget) => <RuleField {...widget} label="Rule" />,
  channel_ids: (widget) => <ChannelsField {...widget} label="Channels" />,
};

/** The schema tells programs that it is an id; here it is a name. */
const people = (hint: string | undefined) => hint?.replace(/, by (its id|their ids)/, "");

interface Named {
  id: string;
  name: string;
}

/** One of few. What is chosen and not among them stays chosen. */
function ChoiceOf({ label, hint, wrong, typed, onChange, from }: Widget & { from: Named[] | undefined }) {
  const value = typeof typed === "string" ? typed : "";
  return (
    <Field label={label} hint={people(hint)} wrong={wrong}>
      {(ids) => (
        <select {...ids} value={value} onChange={(event) => onChange(event.target.value || undefined)}>
          <option value="">All</option>
          {value && !from?.some(({ id }) => id === value) && <option value={value}>{value}</option>}
          {from?.map(({ id, name }) => (
            <option key={id} value={id}>
              {plain(name)}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

function GroupField(widget: Widget) {
  const groups = useCall(GroupService.method.listGroups, { pageSize: 1000 });
  return <ChoiceOf {...widget} from={groups.data?.groups} />;
}

function RuleField(widget: Widget) {
  const rules = useCall(AlertRuleService.method.listAlertRules, {});
  const named = rules.data?.rules.map(({ id, spec }) => ({ id, name: spec?.name ?? id }));
  return <ChoiceOf {...widget} from={named} />;
}

/** One of many: found by a part of its name. */
function HostField({ label, hint, wrong, typed, onChange }: Widget) {
  const id = typeof typed === "string" ? typed : "";
  const [name, setName] = useState("");
  const chosen = useCall(HostService.method.getHost, { hostId: id }, { enabled: id !== "" });
  const found = useList(
    HostService.method.listHosts,
    { name, pageSize: 6 },
    { enabled: id === "" && name !== "" },
  );
  if (id) {
    return (
      <div className="field">
        <span className="label">{label}</span>
        <div className="row">
          <span className="chip">
            <Word>{chosen.data?.host?.name ?? id}</Word>
          </span>
          <button type="button" className="link" onClick={() => onChange(undefined)}>
            Any host
          </button>
        </div>
        {wrong && <span className="wrong">{wrong}</span>}
      </div>
    );
  }
  return (
    <div className="stack">
      <Field label={label} hint={people(hint)} wrong={wrong}>
        {(ids) => (
          <input
            {...ids}
            type="search"
            placeholder="Search by name"
            value={name}
            onChange={(event) => setName(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== "Enter") return;
              // It is for the search, not for the form around it.
              event.preventDefault();
              const first = found.data?.pages[0]?.hosts[0];
              if (first && !found.isPlaceholderData) onChange(first.id);
            }}
          />
        )}
      </Field>
      {name && (
        <div className="chips">
          {found.data?.pages[0]?.hosts.map((host) => (
            <button type="button" key={host.id} onClick={() => onChange(host.id)}>
              <Word>{host.name}</Word>
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

function ChannelsField({ label, hint, wrong, typed, onChange }: Widget) {
  const may = useMay(AlertChannelService.method.listAlertChannels);
  const channels = useCall(AlertChannelService.method.listAlertChannels, {}, { enabled: may });
  const chosen = typeof typed === "string" ? typed.split("\n").filter(Boolean) : [];
  return (
    <fieldset className="field">
      <legend>{label}</legend>
      {hint && <span className="hint">{people(hint)}</span>}
      {channels.data?.channels.map(({ id, spec }) => (
        <Check
          key={id}
          label={<Word>{spec?.name ?? id}</Word>}
          checked={chosen.includes(id)}
          onChange={(on) =>
            onChange((on ? [...chosen, id] : chosen.filter((other) => other !== id)).join("\n"))
          }
        />
      ))}
      {channels.data?.channels.length === 0 && <span className="muted">There are none yet.</span>}
      {wrong && <span className="wrong">{wrong}</span>}
    </fieldset>
  );
}
