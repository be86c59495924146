// A message of which one part is a choice among messages, such as a rule's condition: which one, and its form. Kinds
// that the schema gets later are there by themselves.

import type { DescMessage, DescOneof } from "@bufbuild/protobuf";
import { Field } from "../ui/parts";
import { human } from "../ui/words";
import type { Draft } from "./fields";
import { MessageForm, type Widgets } from "./form";

/** Which one of the choice a draft has. */
export function chosenOf(oneof: DescOneof, draft: Draft): string {
  return oneof.fields.find(({ name }) => draft[name] !== undefined)?.name ?? "";
}

export function OneofForm({
  desc,
  oneof,
  draft,
  faults,
  fixed,
  widgets,
  onChange,
}: {
  desc: DescMessage;
  oneof: DescOneof;
  draft: Draft;
  faults: Map<string, string>;
  /** It stays what it is. */
  fixed?: boolean;
  widgets: Widgets;
  onChange: (draft: Draft) => void;
}) {
  const names = oneof.fields.map(({ name }) => name);
  const chosen = chosenOf(oneof, draft);
  const without = oneof.fields.filter(({ name }) => name !== chosen).map(({ name }) => name);
  const rest = desc.fields.filter(({ oneof: its }) => its !== oneof).map(({ name }) => name);
  const choose = (name: string) => {
    const kept = Object.entries(draft).filter(([field]) => !names.includes(field));
    onChange({ ...Object.fromEntries(kept), ...(name && { [name]: {} }) });
  };
  return (
    <>
      <Field label={human(oneof.name)}>
        {(ids) => (
          <select
            {...ids}
            name={oneof.name}
            required
            disabled={fixed}
            value={chosen}
            onChange={(event) => choose(event.target.value)}
          >
            <option value="">Choose</option>
            {names.map((name) => (
              <option key={name} value={name}>
                {human(name)}
              </option>
            ))}
          </select>
        )}
      </Field>
      {chosen && (
        <MessageForm
          desc={desc}
          draft={draft}
          faults={faults}
          without={[...rest, ...without]}
          widgets={widgets}
          onChange={onChange}
        />
      )}
      <MessageForm
        desc={desc}
        draft={draft}
        faults={faults}
        without={names}
        widgets={widgets}
        onChange={onChange}
      />
    </>
  );
}
