// Rules: what an alert is. Forms and words follow from the schema, so that a kind of rule that comes later is here too.

import { isFieldSet, type Message } from "@bufbuild/protobuf";
import { AlertSeverity } from "fleetwire/api/v1/alert";
import { AlertChannelService } from "fleetwire/api/v1/alert_channel";
import { type AlertRule, AlertRuleService, AlertRuleSpecSchema } from "fleetwire/api/v1/alert_rule";
import { GroupService } from "fleetwire/api/v1/group";
import { calling, useCall, useChange, useMay } from "../api/query";
import { draftOf, kindOf, spanText } from "../form/fields";
import { SpecDialog } from "../form/spec-dialog";
import { AlertTabs, Severity } from "../ui/alerts";
import { State, Wrong } from "../ui/parts";
import { type Opened, Register } from "../ui/register";
import type { Column } from "../ui/table";
import { Word } from "../ui/text";
import { human } from "../ui/words";

const CONDITION = AlertRuleSpecSchema.oneofs[0];

/** When a rule holds, in a few words: its kind, and what it is given. */
function conditionText({ spec }: AlertRule): string {
  const field = CONDITION?.fields.find(({ localName }) => localName === spec?.condition.case);
  const message = spec?.condition.value as Message | undefined;
  if (!field?.message || !message) return "a kind that this console does not know";
  const fields = field.message.fields.filter((field) => isFieldSet(message, field));
  const values = fields.map((field) => {
    const value = (message as unknown as Record<string, unknown>)[field.localName];
    if (kindOf(field) === "span") return spanText(Number(value));
    if (field.name === "percent") return `${value} %`;
    if (field.name === "count") return `${value} or more`;
    if (field.name === "milliseconds") return `${value} ms`;
    return `${value} ${field.name.replaceAll("_", " ")}`;
  });
  return [human(field.name), ...values].join(", ");
}

export default function AlertRules() {
  const may = useMay(AlertRuleService.method.createAlertRule);
  const mayChannels = useMay(AlertChannelService.method.listAlertChannels);
  const groups = useCall(GroupService.method.listGroups, { pageSize: 1000 });
  const columns: readonly Column<AlertRule>[] = [
    { head: "Rule", lead: true, cell: ({ spec }) => <Word>{spec?.name ?? ""}</Word> },
    { head: "Holds when", cell: (rule) => <Word>{conditionText(rule)}</Word> },
    {
      head: "Severity",
      cell: ({ spec }) => <Severity severity={spec?.severity ?? AlertSeverity.UNSPECIFIED} />,
    },
    {
      head: "Fires after",
      wide: true,
      cell: ({ spec }) => (spec?.holdSeconds ? spanText(spec.holdSeconds) : "at once"),
    },
    {
      head: "Hosts",
      wide: true,
      cell: ({ spec }) => {
        const group = groups.data?.groups.find(({ id }) => id === spec?.groupId)?.name;
        return spec?.groupId ? <Word>{group ?? spec.groupId.slice(0, 8)}</Word> : "all";
      },
    },
    {
      head: "State",
      cell: ({ spec }) =>
        spec?.disabled ? (
          <State tone="idle" hollow>
            off
          </State>
        ) : (
          <State tone="good">on</State>
        ),
    },
  ];
  const { deleteAlertRule } = AlertRuleService.method;
  return (
    <Register
      title="Alert rules"
      tabs={<AlertTabs channels={mayChannels} />}
      method={AlertRuleService.method.listAlertRules}
      request={{}}
      rows={({ rules }) => rules}
      name={({ id }) => id}
      columns={columns}
      empty={{ title: "No rules", text: "Without a rule nothing is ever wrong. Add one." }}
      add={may ? "Add a rule" : undefined}
      dialog={(rule, opened) => <Edit rule={rule} opened={opened} />}
      edit={may ? () => true : undefined}
      more={may ? (rule, changed) => <Turn rule={rule} changed={changed} /> : undefined}
      remove={
        may
          ? {
              word: "Remove",
              title: "Remove this rule?",
              act: ({ id }) => calling(deleteAlertRule, { alertRuleId: id }),
              text: ({ spec }) => (
                <>
                  <Word>{spec?.name ?? ""}</Word> is looked at no more, and its alerts that are open are over.
                </>
              ),
            }
          : undefined
      }
    />
  );
}

function Turn({ rule: { id, spec }, changed }: { rule: AlertRule; changed: () => void }) {
  const turn = useChange(AlertRuleService.method.updateAlertRule, changed);
  return (
    <>
      <button
        type="button"
        disabled={turn.isPending}
        onClick={() => turn.mutate({ alertRuleId: id, spec: spec && { ...spec, disabled: !spec.disabled } })}
      >
        {spec?.disabled ? "Turn on" : "Turn off"}
      </button>
      <Wrong error={turn.error} />
    </>
  );
}

function Edit({ rule, opened }: { rule: AlertRule | undefined; opened: Opened }) {
  const done = () => {
    opened.close();
    opened.changed();
  };
  const create = useChange(AlertRuleService.method.createAlertRule, done);
  const update = useChange(AlertRuleService.method.updateAlertRule, done);
  if (!CONDITION) return null;
  return (
    <SpecDialog
      title={rule ? "Edit rule" : "Add a rule"}
      desc={AlertRuleSpecSchema}
      oneof={CONDITION}
      begin={() => (rule?.spec ? draftOf(AlertRuleSpecSchema, rule.spec) : { severity: "warning" })}
      pending={create.isPending || update.isPending}
      error={create.error ?? update.error}
      onSave={(spec) => (rule ? update.mutate({ alertRuleId: rule.id, spec }) : create.mutate({ spec }))}
      onClose={opened.close}
    />
  );
}
