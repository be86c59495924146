// A form for any message of the schema: its fields in their order, each by its kind, with what the schema's own
// comments say of it.

import hints from "virtual:hints";
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import type { ReactNode } from "react";
import { Check, Choice, Field } from "../ui/parts";
import { human } from "../ui/words";
import { type Draft, isWanted, kindOf, options, rulesOf } from "./fields";

/** In the place of a field that is more than its type says, such as an id: by the field's name. */
export type Widgets = Record<string, (field: Widget) => ReactNode>;

/** What such a one is given. */
export interface Widget {
  label: string;
  hint: string | undefined;
  wrong: string | undefined;
  typed: Draft[string];
  onChange: (typed: Draft[string]) => void;
}

/** Options of an enum that stand beside each other; more are a list. */
const CHOICES_MAX = 6;

export function MessageForm({
  desc,
  draft,
  faults,
  onChange,
  without = [],
  widgets = {},
  path = "",
}: {
  desc: DescMessage;
  draft: Draft;
  /** Of what was filled in; shown once somebody has asked for it to be sent. */
  faults: Map<string, string>;
  onChange: (draft: Draft) => void;
  without?: readonly string[];
  widgets?: Widgets;
  path?: string;
}) {
  // What cannot be left out comes first.
  const wanted = (field: DescField) => Number(rulesOf(field).required || isWanted(field));
  return desc.fields
    .filter((field) => !without.includes(field.name))
    .sort((a, b) => wanted(b) - wanted(a))
    .map((field) => (
      <One
        key={field.number}
        field={field}
        typed={draft[field.name]}
        fault={faults.get(path + field.name)}
        faults={faults}
        path={`${path}${field.name}.`}
        hint={hints[`${desc.name}.${field.name}`]}
        widgets={widgets}
        onChange={(typed) => onChange({ ...draft, [field.name]: typed })}
      />
    ));
}

function One({
  field,
  typed,
  fault,
  faults,
  path,
  hint,
  widgets,
  onChange,
}: {
  field: DescField;
  typed: Draft[string];
  fault: string | undefined;
  faults: Map<string, string>;
  path: string;
  hint: string | undefined;
  widgets: Widgets;
  onChange: (typed: Draft[string]) => void;
}) {
  const kind = kindOf(field);
  const text = typeof typed === "string" ? typed : "";
  const label = human(kind === "span" ? field.name.replace(/_?seconds$/, "") || "for" : field.name);
  const rule = rulesOf(field);
  const widget = widgets[field.name];
  if (widget) return widget({ label, hint, wrong: fault, typed, onChange });
  switch (kind) {
    case "check":
      return (
        <div className="field">
          <Check label={label} checked={typed === true} onChange={onChange} />
          {hint && <span className="hint">{hint}</span>}
        </div>
      );
    case "choice": {
      const all = field.enum ? options(field.enum) : [];
      if (all.length <= CHOICES_MAX) {
        return (
          <div className="field">
            <span className="label">{label}</span>
            <Choice
              label={label}
              value={text}
              options={all.map(({ name }) => [name, human(name)])}
              onChange={onChange}
            />
            {hint && <span className="hint">{hint}</span>}
            {fault && <span className="wrong">{fault}</span>}
          </div>
        );
      }
      return (
        <Field label={label} hint={hint} wrong={fault}>
          {(ids) => (
            <select {...ids} value={text} onChange={(event) => onChange(event.target.value)}>
              <option value="">Choose</option>
              {all.map(({ name }) => (
                <option key={name} value={name}>
                  {human(name)}
                </option>
              ))}
            </select>
          )}
        </Field>
      );
    }
    case "choices": {
      const chosen = Array.isArray(typed) ? typed : [];
      return (
        <fieldset className="stack">
          <legend>{label}</legend>
          {hint && <span className="hint muted small">{hint}</span>}
          <div className="row">
            {(field.enum ? options(field.enum) : []).map(({ name }) => (
              <Check
                key={name}
                label={human(name)}
                checked={chosen.includes(name)}
                onChange={(on) => onChange(on ? [...chosen, name] : chosen.filter((other) => other !== name))}
              />
            ))}
          </div>
        </fieldset>
      );
    }
    case "form":
      return field.message ? (
        <fieldset className="form">
          <legend className="visually-hidden">{label}</legend>
          <MessageForm
            desc={field.message}
            draft={(typed as Draft | undefined) ?? {}}
            faults={faults}
            onChange={onChange}
            widgets={widgets}
            path={path}
          />
        </fieldset>
      ) : null;
    case "long":
    case "lines":
    case "pairs": {
      const more = kind === "lines" ? " One a line." : kind === "pairs" ? " One a line, as NAME=value." : "";
      return (
        <Field label={label} hint={(hint ?? "") + more} wrong={fault}>
          {(ids) => (
            <textarea
              {...ids}
              className="mono"
              name={field.name}
              rows={kind === "long" ? 10 : 3}
              spellCheck={false}
              autoCapitalize="none"
              required={rule.required}
              value={text}
              onChange={(event) => onChange(event.target.value)}
            />
          )}
        </Field>
      );
    }
    default:
      return (
        <Field label={label} hint={hint} wrong={fault}>
          {(ids) => (
            <input
              {...ids}
              name={field.name}
              placeholder={kind === "span" ? "such as 45 s, 10 min, 2 h" : undefined}
              type={kind === "time" ? "datetime-local" : "text"}
              inputMode={kind === "number" ? "numeric" : undefined}
              spellCheck={false}
              autoCapitalize="none"
              required={rule.required}
              value={text}
              onChange={(event) => onChange(event.target.value)}
            />
          )}
        </Field>
      );
  }
}
